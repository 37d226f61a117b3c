"""What a file is, told by its first bytes rather than by its name."""

from schemas.errors import InvalidInput
from schemas.plain_text import looks_like_text

PDF = "application/pdf"
TEXT = "text/plain"
HWPX = "application/hwp+zip"
IMAGES = ("image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp", "image/heic")

SNIFF_BYTES = 1024
"""How much of a file's beginning `media_type_of` wants; PDF readers accept junk of that size before `%PDF-`."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_ZIP_MARK = b"PK\x03\x04"
_ANYTHING = frozenset({"", "application/octet-stream", "binary/octet-stream"})


def media_type_of(head: bytes) -> str | None:
    """Return the media type that `head` shows, or None when it is none that can be read."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "image/tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and len(head) >= 26:
        return "image/bmp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "image/heic"
    if b"%PDF-" in head:
        return PDF
    if head.startswith(_ZIP_MARK) and head[30:].startswith(b"mimetype" + HWPX.encode()):
        return HWPX
    return None


def resolve_media_type(claimed: str, head: bytes, name: str) -> str:
    """Return the type to read a file as; `claimed` is trusted only as far as the content agrees.

    An image may be another kind of image than it claims: scanners misname them, and nothing depends on it.
    Raises InvalidInput: `empty_file`, `not_what_it_claims` or `unsupported_media_type`.
    """
    claim = claimed.partition(";")[0].strip().lower()
    if not head:
        raise InvalidInput(f"{name} is empty", code="empty_file", remedy="send a file with content")
    found = media_type_of(head)
    if found is None and (claim == TEXT or claim in _ANYTHING) and (b"\x00" not in head or looks_like_text(head)):
        return TEXT
    if claim in _ANYTHING and found is not None:
        return found
    if claim not in (PDF, TEXT, HWPX) and not claim.startswith("image/"):
        raise InvalidInput(
            f"{name} is {claim or 'of an unknown type'}, which cannot be read",
            code="unsupported_media_type",
            remedy="send PDF, PNG, JPEG, TIFF, WebP, BMP, HEIC, HWPX or plain text",
        )
    if claim == HWPX and head.startswith(_ZIP_MARK):
        return HWPX  # packed again without its mark; whether it is one is known once it is opened
    if found is None or _family(found) != _family(claim):
        raise InvalidInput(
            f"{name} claims to be {claim}, but its content is {found or 'something else'}",
            code="not_what_it_claims",
            remedy="send the file under its real type, or export it again from the program that made it",
        )
    return found


def _family(media_type: str) -> str:
    return "image" if media_type.startswith("image/") else media_type
