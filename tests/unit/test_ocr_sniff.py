"""Files are what their first bytes say."""

import pytest

from processors.ocr.sniff import media_type_of, resolve_media_type
from schemas.errors import InvalidInput

_PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (_PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"BM" + b"\x00" * 30, "image/bmp"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"junk before it\n%PDF-1.4\n", "application/pdf"),
        (b"PK\x03\x04", None),
        (b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/hwp+zip", "application/hwp+zip"),
    ],
)
def test_types_by_content(head: bytes, expected: str | None) -> None:
    assert media_type_of(head) == expected


@pytest.mark.parametrize(
    ("claimed", "head", "code"),
    [
        ("application/pdf", b"", "empty_file"),
        ("application/pdf", _PNG, "not_what_it_claims"),
        ("image/png", b"%PDF-1.7", "not_what_it_claims"),
        ("image/png", b"just text", "not_what_it_claims"),
        ("text/plain", _PNG, "not_what_it_claims"),
        ("application/hwp+zip", _PNG, "not_what_it_claims"),
        ("application/zip", b"PK\x03\x04", "unsupported_media_type"),
        ("application/octet-stream", b"PK\x03\x04\x00", "unsupported_media_type"),
    ],
)
def test_what_cannot_be_read_says_so_with_a_remedy(claimed: str, head: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        resolve_media_type(claimed, head, "a.bin")
    assert raised.value.code == code
    assert raised.value.remedy


@pytest.mark.parametrize("claimed", ["image/jpeg", "application/octet-stream", "", "IMAGE/PNG; x=1"])
def test_an_image_under_another_images_name_is_read(claimed: str) -> None:
    assert resolve_media_type(claimed, _PNG, "a") == "image/png"


def test_an_hwpx_that_was_packed_again_is_one_when_it_says_so() -> None:
    assert resolve_media_type("application/hwp+zip", b"PK\x03\x04\x00", "a") == "application/hwp+zip"


def test_text_may_come_without_a_type() -> None:
    assert resolve_media_type("", "수신".encode(), "a") == "text/plain"
