"""A PNG file put together by hand, for what no library would write: a header that promises more than there is."""

import struct
import zlib


def png_header(width: int, height: int) -> bytes:
    """Return a small RGB image that says it has so many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    # A megabyte of zeros packs into a kilobyte; as many rows as the header promises are not even needed.
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
