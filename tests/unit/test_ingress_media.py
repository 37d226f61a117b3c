"""What a file is, by its first bytes."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingress.media import HWP, HWPX, PDF, TEXT, UNKNOWN, ZIP, input_kind, media_type_of, sniff
from schemas.errors import InvalidInput


def _image(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(out, kind)
    return out.getvalue()


def _hwpx() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/hwp+zip")
    return out.getvalue()


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"%PDF-1.7\n", PDF),
        (b"\xef\xbb\xbf\n%PDF-1.4", PDF),
        (_image("PNG"), "image/png"),
        (_image("JPEG"), "image/jpeg"),
        (_image("TIFF"), "image/tiff"),
        (_image("WEBP"), "image/webp"),
        (_image("BMP"), "image/bmp"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"ID3\x04\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(20), "audio/mpeg"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00", "audio/mp4"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00", "audio/mp4"),
        (b"OggS\x00\x02", "audio/ogg"),
        (b"fLaC\x00\x00", "audio/flac"),
        (b"\x1a\x45\xdf\xa3\x01", "audio/webm"),
        (_hwpx(), HWPX),
        (b"PK\x03\x04" + bytes(30), ZIP),
        (bytes.fromhex("d0cf11e0a1b11ae1"), HWP),
        ("BM은 두 글자로 시작하는 글입니다. 스물여섯 바이트를 넘습니다".encode(), TEXT),
        ("공문".encode()[:-1], TEXT),
        (b"\x00\x01\x02", UNKNOWN),
        (b"\xff\xfe\xfa" * 9, UNKNOWN),
    ],
)
def test_types_by_their_marks(head: bytes, found: str):
    """Not by names."""
    assert sniff(head) == found


@given(st.binary(max_size=200))
def test_any_bytes_are_something(head: bytes):
    """No content makes the look at it fail."""
    assert sniff(head)


@pytest.mark.parametrize(
    ("head", "name", "content_type", "code"),
    [
        (b"", "letter.pdf", "application/pdf", "empty_file"),
        (b"hello", "letter.pdf", "", "not_what_it_claims"),
        (b"hello", "", "application/pdf", "not_what_it_claims"),
        (_image("PNG"), "letter.pdf", "image/png", "not_what_it_claims"),
        (b"%PDF-1.7", "page.png", "image/png", "not_what_it_claims"),
        (b"\x00\x01", "letter.pdf", "application/octet-stream", "not_what_it_claims"),
    ],
)
def test_a_file_that_is_not_what_it_claims(head: bytes, name: str, content_type: str, code: str):
    """Is told so, with what to do."""
    with pytest.raises(InvalidInput) as caught:
        media_type_of(head, name, content_type)
    assert caught.value.code == code
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("head", "name", "content_type"),
    [
        (b"%PDF-1.7", "LETTER.PDF", "application/octet-stream"),
        (_image("PNG"), "scan.jpg", "image/jpeg"),
        (_hwpx(), "letter.hwpx", "application/octet-stream"),
        (b"hello", "notes.md", "text/markdown"),
        (b"hello", "", ""),
    ],
)
def test_a_file_that_is_what_it_claims(head: bytes, name: str, content_type: str):
    """One kind of image may pass for another: scanners misname them."""
    assert media_type_of(head, name, content_type) == sniff(head)


def test_an_hwpx_that_was_packed_again_is_taken_for_one():
    """Its mark is gone, its name is not; under any other name a zip is a zip."""
    assert media_type_of(b"PK\x03\x04" + bytes(30), "letter.hwpx", "") == HWPX
    assert media_type_of(b"PK\x03\x04" + bytes(30), "letter.zip", "") == ZIP


def test_hwpx_is_a_document():
    """Modules that take documents take it."""
    assert input_kind(HWPX, "letter.hwpx") == "document"


def test_old_hwp_gets_advice():
    """It cannot be read; the caller can save it otherwise."""
    with pytest.raises(InvalidInput) as caught:
        input_kind(HWP, "letter.hwp")
    assert caught.value.code == "unsupported_media_type"
    assert "HWPX or PDF" in caught.value.remedy
