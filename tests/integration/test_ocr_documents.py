"""Opening documents: every kind of file, and every kind of bad one."""

from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from processors.ocr.child import open_document, read_page
from processors.ocr.documents import InputFile, open_files
from processors.ocr.limits import Limits, ReadOptions
from processors.ocr.pdf_pages import MAX_RENDER_PIXELS
from schemas.errors import InvalidInput
from schemas.pages import page_text
from tests.letter_pages import letter_page
from tests.pdf_by_hand import locked_pdf, pages_pdf, text_pdf
from tests.png_by_hand import png_header

LIMITS = Limits(max_pages=500, max_pixels=20_000_000)


def _file(folder: Path, content: bytes, media_type: str = "application/octet-stream") -> InputFile:
    path = folder / f"input-{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    return InputFile(str(path), media_type, "letter")


def _error(*files: InputFile, limits: Limits = LIMITS) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        open_document(files, limits)
    assert raised.value.remedy
    return raised.value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "HEIF"])
def test_every_image_format_is_one_page_of_its_size(tmp_path: Path, kind: str) -> None:
    pillow_heif.register_heif_opener()
    path = tmp_path / "page"
    letter_page(width=300, height=200).save(path, kind)
    document = open_files((InputFile(str(path), "", "page"),), LIMITS)
    assert document.page_count == 1
    picture = document.page(1).picture()
    assert picture is not None
    assert (picture.width, picture.height) == (300, 200)


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), "white")
    image.paste("black", (0, 0, 50, 50))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    image.save(tmp_path / "photo.jpg", exif=exif)
    picture = open_files((InputFile(str(tmp_path / "photo.jpg"), "image/jpeg", "photo"),), LIMITS).page(1).picture()
    assert picture is not None
    assert (picture.width, picture.height) == (200, 300)
    assert picture.pixels[20, 180].max() < 60
    assert picture.pixels[20, 20].min() > 200


def test_a_large_photo_is_brought_to_reading_size(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 4000), "white").save(tmp_path / "photo.jpg", dpi=(72, 72))
    picture = open_files((InputFile(str(tmp_path / "photo.jpg"), "image/jpeg", "photo"),), LIMITS).page(1).picture()
    assert picture is not None
    assert picture.dpi == pytest.approx(200, rel=0.02)
    assert picture.height == pytest.approx(2338, rel=0.02)


def test_files_follow_one_another_as_pages_of_one_document(tmp_path: Path) -> None:
    frames = [letter_page([f"{number}쪽"], width=240, height=160) for number in (1, 2, 3)]
    frames[0].save(tmp_path / "scan.tif", save_all=True, append_images=frames[1:])
    files = (
        InputFile(str(tmp_path / "scan.tif"), "image/tiff", "scan.tif"),
        _file(tmp_path, text_pdf("PAGE FOUR"), "application/pdf"),
        _file(tmp_path, "다섯\f여섯\f".encode(), "text/plain"),
    )
    assert open_document(files, LIMITS) == 6
    page, picture = read_page(files, LIMITS, 4, ReadOptions())
    assert (page.number, page.source, page_text(page)) == (4, "text", "PAGE FOUR")
    assert picture.startswith(b"\x89PNG")
    page, picture = read_page(files, LIMITS, 6, ReadOptions())
    assert (page.number, page_text(page), picture) == (6, "여섯", b"")


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_text_layer_boxes_lie_on_the_ink_however_the_page_is_turned(tmp_path: Path, rotate: int) -> None:
    file = _file(tmp_path, text_pdf("WIDE", rotate=rotate), "application/pdf")
    page, _ = read_page((file,), LIMITS, 1, ReadOptions())
    picture = open_files((file,), LIMITS).page(1).picture()
    assert picture is not None
    ink = picture.pixels.min(axis=2) < 128
    rows, columns = ink.any(axis=1).nonzero()[0], ink.any(axis=0).nonzero()[0]
    assert [word.text for word in page.words] == ["WIDE"]
    x0, y0, x1, y1 = page.words[0].box
    assert (x0 * picture.width, x1 * picture.width) == pytest.approx((columns[0], columns[-1] + 1), abs=3)
    assert (y0 * picture.height, y1 * picture.height) == pytest.approx((rows[0], rows[-1] + 1), abs=3)


@pytest.mark.parametrize("box", [b"0 0 2000000 2000000", b"0 0 9000000 2", b"0 0 0 0"])
def test_an_absurd_media_box_is_rendered_within_bounds(tmp_path: Path, box: bytes) -> None:
    picture = open_files((_file(tmp_path, pages_pdf(1, box)),), LIMITS).page(1).picture()
    assert picture is not None
    assert picture.width * picture.height <= MAX_RENDER_PIXELS * 1.01


def test_a_locked_pdf(tmp_path: Path) -> None:
    assert _error(_file(tmp_path, locked_pdf())).code == "pdf_encrypted"


@pytest.mark.parametrize("keep", [0.15, 0.5, 0.95])
def test_a_pdf_that_is_cut_short(tmp_path: Path, keep: float) -> None:
    whole = pages_pdf(40)
    assert _error(_file(tmp_path, whole[: int(len(whole) * keep)])).code == "pdf_damaged"


def test_a_pdf_that_is_none_behind_its_first_line(tmp_path: Path) -> None:
    assert _error(_file(tmp_path, b"%PDF-1.7\n" + b"nonsense " * 300 + b"%%EOF")).code == "pdf_damaged"


def test_a_pdf_without_pages(tmp_path: Path) -> None:
    assert _error(_file(tmp_path, pages_pdf(0))).code == "no_pages"


def test_blank_text_has_no_pages(tmp_path: Path) -> None:
    assert _error(_file(tmp_path, b" \n\n", "text/plain")).code == "no_pages"


def test_a_pdf_of_5000_pages(tmp_path: Path) -> None:
    error = _error(_file(tmp_path, pages_pdf(5000)))
    assert error.code == "too_many_pages"
    assert "5000" in error.message


def test_files_that_are_too_many_pages_only_together(tmp_path: Path) -> None:
    files = [_file(tmp_path, pages_pdf(3)) for _ in range(3)]
    assert _error(*files, limits=Limits(max_pages=8)).code == "too_many_pages"
    assert open_document(tuple(files), Limits(max_pages=9)) == 9


def test_a_tiff_with_more_frames_than_allowed(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8)) for _ in range(6)]
    frames[0].save(tmp_path / "many.tif", save_all=True, append_images=frames[1:])
    file = InputFile(str(tmp_path / "many.tif"), "image/tiff", "many.tif")
    assert _error(file, limits=Limits(max_pages=5)).code == "too_many_pages"


@pytest.mark.parametrize("side", [5_000, 30_000, 200_000])
def test_an_image_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    assert _error(_file(tmp_path, png_header(side, side), "image/png")).code == "image_too_large"


def test_a_large_scan_is_welcome_when_the_limit_says_so(tmp_path: Path) -> None:
    file = _file(tmp_path, png_header(15_000, 15_000), "image/png")
    assert open_document((file,), Limits(max_pixels=300_000_000)) == 1


def test_a_damaged_image(tmp_path: Path) -> None:
    letter_page().save(tmp_path / "page.png")
    whole = (tmp_path / "page.png").read_bytes()
    header_only = _file(tmp_path, whole[:20], "image/png")
    assert _error(header_only).code == "image_damaged"
    cut = _file(tmp_path, whole[: len(whole) // 2], "image/png")
    with pytest.raises(InvalidInput) as raised:
        read_page((cut,), LIMITS, 1, ReadOptions())
    assert raised.value.code == "image_damaged"


def test_files_that_are_not_what_they_claim(tmp_path: Path) -> None:
    assert _error(_file(tmp_path, b"MZ\x90\x00" * 50, "application/pdf")).code == "not_what_it_claims"
    assert _error(_file(tmp_path, b"PK\x03\x04" * 50, "application/zip")).code == "unsupported_media_type"
    assert _error(_file(tmp_path, b"", "application/pdf")).code == "empty_file"
