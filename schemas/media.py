"""What a file is, by its first bytes; and whether that agrees with what it claims to be. Pure.

Nothing here parses a document: that is done in a child process of the processor that reads it.
"""

from schemas.errors import InvalidInput
from schemas.plain_text import looks_like_text

SNIFF_BYTES = 4096
"""How much of a file's beginning is looked at."""

PDF = "application/pdf"
TEXT = "text/plain"
HWPX = "application/hwp+zip"
HWP = "application/x-hwp"
ZIP = "application/zip"
UNKNOWN = "application/octet-stream"

_IMAGES = ("image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp", "image/heic")

_AUDIO = ("audio/wav", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/flac", "audio/webm")

INPUT_KINDS: dict[str, str] = {
    PDF: "document",
    HWPX: "document",
    TEXT: "text",
    **dict.fromkeys(_IMAGES, "image"),
    **dict.fromkeys(_AUDIO, "audio"),
}
"""Media type to the kind of input that modules declare; types without a kind can only be stored."""

_READABLE = "PDF, HWPX, PNG, JPEG, TIFF, WebP, BMP, HEIC, plain text, or sound as WAV, MP3, M4A, MP4, OGG, FLAC or WebM"

_REAL_TYPE = "send the file under its real type, or export it again from the program that made it"
_SAVE_AS_TEXT = "save the text as UTF-8 and send it again, or send the file under its real type"

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_MP4_BRANDS = frozenset(
    {b"M4A ", b"M4B ", b"isom", b"iso2", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"qt  "}
)
_MPEG_FRAME_BITS = 0xFFE0  # the eleven bits with which every MPEG audio frame begins
_TIFF_MARKS = frozenset({b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"})
_OLE_MARK = bytes.fromhex("d0cf11e0a1b11ae1")

_BY_SUFFIX = {
    "pdf": PDF,
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "heic": "image/heic",
    "heif": "image/heic",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "webm": "audio/webm",
    "txt": TEXT,
    "md": TEXT,
    "hwp": HWP,
    "hwpx": HWPX,
    "zip": ZIP,
}
_OTHER_NAMES = {
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "video/mp4": "audio/mp4",
    "audio/opus": "audio/ogg",
    "audio/x-flac": "audio/flac",
    "video/webm": "audio/webm",
}
_ZIP_BASED = frozenset({HWPX, ZIP})


def sniff(head: bytes) -> str:
    """Return the media type that a file's first `SNIFF_BYTES` show; UNKNOWN when they show none."""
    return _by_mark(head) or (TEXT if looks_like_text(head) else UNKNOWN)


def media_type_of(head: bytes, name: str, content_type: str) -> str:
    """Return what a file is. Its name's ending claims a type, or else its content type does.

    An image may be another kind of image than it claims: scanners misname them, and nothing depends
    on it. A zip file that claims to be HWPX is taken for one: programs that pack it again lose the mark.
    Raises InvalidInput: `empty_file`, or `not_what_it_claims`.
    """
    if not head:
        raise InvalidInput(
            f"{_called(name)} is empty", code="empty_file", remedy="send a file that has content, or leave it out"
        )
    found = sniff(head)
    claimed = _claim(name, content_type)
    if claimed is not None and not _agree(found, claimed):
        what = "of no known type" if found == UNKNOWN else found
        raise InvalidInput(
            f"{_called(name)} claims to be {claimed}, but its content is {what}",
            code="not_what_it_claims",
            remedy=_SAVE_AS_TEXT if claimed == TEXT and found == UNKNOWN else _REAL_TYPE,
        )
    return HWPX if found == ZIP and claimed == HWPX else found


def input_kind(media_type: str, name: str) -> str:
    """Return the kind of input that a file is.

    Raises InvalidInput (`unsupported_media_type`) when no module can read it, with what to do instead.
    """
    kind = INPUT_KINDS.get(media_type)
    if kind is not None:
        return kind
    if media_type == HWP:
        problem, remedy = "is an old binary HWP (or Office) file", "open it in Hancom Office and save it as HWPX or PDF"
    else:
        problem = "is of an unknown type" if media_type == UNKNOWN else f"is {media_type}, which no module reads"
        remedy = f"send {_READABLE}"
    raise InvalidInput(f"{_called(name)} {problem}", code="unsupported_media_type", remedy=remedy)


def _by_mark(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] in _TIFF_MARKS:
        return "image/tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and len(head) >= 26 and head[6:10] == bytes(4):  # two letters alone begin many texts
        return "image/bmp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "image/heic"
    if b"%PDF-" in head[:1024]:  # readers accept that much before it, and scanners write it
        return PDF
    if head[:4] == b"PK\x03\x04":
        return HWPX if head[30:].startswith(b"mimetype" + HWPX.encode()) else ZIP
    if head.startswith(_OLE_MARK):
        return HWP
    return _sound_by_mark(head)


def _sound_by_mark(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return "audio/mp4"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "audio/webm"
    frame = int.from_bytes(head[:2], "big")
    # Layer II or III: no one uses layer I, and UTF-16's mark (FF FE) would look like it.
    if head.startswith(b"ID3") or (frame & _MPEG_FRAME_BITS == _MPEG_FRAME_BITS and 0 < (frame >> 1 & 3) < 3):
        return "audio/mpeg"
    return None


def _claim(name: str, content_type: str) -> str | None:
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    declared = content_type.partition(";")[0].strip().lower()
    if declared.startswith("text/"):
        return TEXT
    if declared in INPUT_KINDS or declared.startswith("image/"):
        return declared
    return _OTHER_NAMES.get(declared)


def _agree(found: str, claimed: str) -> bool:
    if found == claimed or (found in _ZIP_BASED and claimed in _ZIP_BASED):
        return True
    return found in _IMAGES and claimed.startswith("image/")


def _called(name: str) -> str:
    return f"the file {name!r}" if name else "the file"
