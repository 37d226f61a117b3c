"""Reading with the real Tesseract: text, places, seals, and layers that lie."""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from processors.ocr.child import read_page
from processors.ocr.documents import InputFile
from processors.ocr.engines import tesseract
from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.engines.libtesseract import Recognizer
from processors.ocr.engines.tesseract import Tesseract
from processors.ocr.limits import Limits, ReadOptions
from processors.ocr.page_source import Picture, Pixels
from processors.ocr.reading import read_pictures
from schemas.errors import Outage, Transient
from schemas.pages import Page, page_text
from tests.letter_pages import LETTER, letter_page
from tests.pdf_by_hand import mapped_text_pdf, pdf


def _read(path: Path) -> Page:
    page, _ = read_page((InputFile(str(path), "", path.name),), Limits(), 1, ReadOptions())
    return page


def _squeezed(page: Page) -> str:
    return "".join(page_text(page).split())


def test_a_scanned_letter_gives_its_words_where_they_stand(tmp_path: Path) -> None:
    letter_page().save(tmp_path / "page.png", dpi=(200, 200))
    page = _read(tmp_path / "page.png")
    assert (page.source, page.width, page.height) == ("ocr", 900, 560)
    assert _squeezed(page) == "".join("".join(LETTER).split())
    assert [word.text for word in page.words[:2]] == ["수신", "갈숲시장"]
    x0, y0, x1, y1 = page.words[0].box
    assert (x0 * 900, y0 * 560) == pytest.approx((82, 84), abs=5)
    assert (x1 * 900, y1 * 560) == pytest.approx((138, 113), abs=6)
    assert all(0.5 < word.confidence <= 1 for word in page.words)
    assert page.words[0].line == 0


def test_boxes_of_a_leaning_page_lie_on_the_page_as_supplied(tmp_path: Path) -> None:
    lines = (
        "수신  갈숲시장",
        "제목  수요조사 안내",
        "다음과 같이 조사하니 제출하여 주시기 바랍니다.",
        "붙임  서식 1부.  끝.",
    )
    level = letter_page(lines)
    leaning = level.rotate(2.0, fillcolor="white", resample=Image.Resampling.BICUBIC)
    leaning.save(tmp_path / "page.png", dpi=(200, 200))
    page = _read(tmp_path / "page.png")
    assert page.rotation == pytest.approx(-2.0, abs=0.3)
    assert "갈숲시장" in _squeezed(page)
    ink = np.asarray(leaning.convert("L")) < 128
    for word in page.words:
        x0, y0, x1, y1 = (round(v * s) for v, s in zip(word.box, (900, 560, 900, 560), strict=True))
        assert ink[y0:y1, x0:x1].any(), word.text


def test_a_signature_under_a_red_seal_is_read_and_the_seal_kept_as_a_mark(tmp_path: Path) -> None:
    page = letter_page(("수신  갈숲시장", "", "너른군수"), size=40)
    draw = ImageDraw.Draw(page)
    for inset in (0, 30):
        draw.rectangle((200 + inset, 220 + inset, 320 - inset, 340 - inset), outline=(210, 40, 45), width=6)
    page.save(tmp_path / "page.png", dpi=(200, 200))
    read = _read(tmp_path / "page.png")
    assert "너른군수" in _squeezed(read)
    assert [(mark.kind, mark.colour) for mark in read.marks] == [("seal", "red")]
    x0, y0, x1, y1 = read.marks[0].box
    assert (x0 * 900, y0 * 560, x1 * 900, y1 * 560) == pytest.approx((198, 218, 322, 342), abs=8)
    assert not read.grey
    page.convert("L").save(tmp_path / "grey.png", dpi=(200, 200))
    grey = _read(tmp_path / "grey.png")
    assert (grey.grey, grey.marks) == (True, ())


def test_a_photo_aslant_on_a_table_is_read_and_its_boxes_lie_in_the_photo(tmp_path: Path) -> None:
    sheet = np.asarray(letter_page(width=1000, height=1300))
    corners = np.array([[170, 130], [1120, 200], [1180, 1480], [90, 1420]], np.float32)
    flat = np.array([[0, 0], [1000, 0], [1000, 1300], [0, 1300]], np.float32)
    warp = cv2.getPerspectiveTransform(flat, corners)
    photo = cv2.warpPerspective(sheet, warp, (1300, 1600), borderValue=(70, 60, 50))
    light = np.linspace(1.0, 0.6, 1300)[None, :, None]
    Image.fromarray((photo * light).astype(np.uint8)).save(tmp_path / "photo.jpg", quality=92)
    page = _read(tmp_path / "photo.jpg")
    assert "갈숲시장" in _squeezed(page)
    word = next(word for word in page.words if "갈숲시장" in word.text)
    middle = warp @ np.array([80 + 30 * 5, 97, 1])
    x0, y0, x1, y1 = word.box
    assert x0 * 1300 < middle[0] / middle[2] < x1 * 1300
    assert y0 * 1600 < middle[1] / middle[2] < y1 * 1600


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_letter_upside_down_or_on_its_side_is_read_and_its_boxes_stay_where_they_are(
    tmp_path: Path, turns: int
) -> None:
    lying = np.rot90(np.asarray(letter_page()), turns)
    Image.fromarray(np.ascontiguousarray(lying)).save(tmp_path / "page.png", dpi=(200, 200))
    page = _read(tmp_path / "page.png")
    assert "갈숲시장" in _squeezed(page)
    assert page.rotation == pytest.approx((4 - turns) * 90, abs=1)
    x0, y0, x1, y1 = next(word.box for word in page.words if word.text == "수신")
    ink = lying.min(axis=2) < 128
    assert ink[round(y0 * page.height) : round(y1 * page.height), round(x0 * page.width) : round(x1 * page.width)].any()
    middle = {1: ((y0 + y1) / 2, 1 - 108 / 900), 2: ((x0 + x1) / 2, 1 - 108 / 900), 3: ((y0 + y1) / 2, 108 / 900)}
    assert middle[turns][0] == pytest.approx(middle[turns][1], abs=0.01)


def test_a_blank_page_has_no_words(tmp_path: Path) -> None:
    Image.new("RGB", (400, 500), "white").save(tmp_path / "blank.png")
    assert _read(tmp_path / "blank.png").words == ()


@pytest.mark.parametrize(
    "layer",
    [
        b"",  # nothing but the scan
        b"BT /F1 8 Tf 20 20 Td (Scanned by a machine) Tj ET",  # a caption for a page of text
        b"BT 3 Tr /F1 30 Tf 20 160 Td (WRONG WORDS) Tj ET",  # somebody else's reading, invisible
    ],
)
def test_a_scan_in_a_pdf_is_read_whatever_its_layer_says(tmp_path: Path, layer: bytes) -> None:
    (tmp_path / "scan.pdf").write_bytes(_scan_pdf(letter_page(), layer))
    page = _read(tmp_path / "scan.pdf")
    assert page.source == "ocr"
    assert "갈숲시장" in _squeezed(page)
    assert "WRONG" not in _squeezed(page)


def test_letters_without_unicode_are_read_from_the_picture(tmp_path: Path) -> None:
    # The private use area is where fonts without a Unicode table put their letters.
    to_unicode = b"1 beginbfrange <00> <ff> <e000> endbfrange"
    (tmp_path / "private.pdf").write_bytes(_text_pdf_with_map(b"PRIVATE WORDS", to_unicode))
    page = _read(tmp_path / "private.pdf")
    assert page.source == "ocr"
    assert "PRIVATE" in _squeezed(page)


def test_a_missing_library_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(languages: str) -> Recognizer:
        raise OSError(f"libtesseract.so.5: cannot open shared object file ({languages})")

    monkeypatch.setattr(tesseract, "Recognizer", missing)
    with pytest.raises(Outage) as raised:
        Tesseract(5).read(np.full((50, 50), 255, np.uint8), 200)
    assert raised.value.code == "ocr_engine_missing"
    assert "tesseract-ocr-kor" in raised.value.remedy


def test_missing_languages_are_an_outage() -> None:
    with pytest.raises(Outage):
        Tesseract(5, "xxx").read(np.full((50, 50), 255, np.uint8), 200)


def test_a_pass_that_takes_too_long_is_ended() -> None:
    with pytest.raises(Transient) as raised:
        Tesseract(0.001).read(np.asarray(letter_page().convert("L")), 200)
    assert raised.value.code == "ocr_timeout"


def test_an_engine_that_finds_nothing_leaves_an_empty_page() -> None:
    class Blind:
        name = "blind"

        def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
            return []

        def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
            return [[] for _ in pages]

        def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
            return []

    (page,) = read_pictures([(1, Picture(np.full((200, 200), 255, np.uint8), 200.0))], Blind())
    assert page.words == ()


def _scan_pdf(image: Image.Image, layer: bytes) -> bytes:
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=90)
    width, height = image.width * 72 // 200, image.height * 72 // 200
    content = b"q %d 0 0 %d 0 0 cm /Im Do Q %b" % (width, height, layer)
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R "
            b"/Resources << /XObject << /Im 5 0 R >> /Font << /F1 6 0 R >> >> >>" % (width, height),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8 "
            b"/Filter /DCTDecode /Length %d >>\nstream\n%b\nendstream"
            % (image.width, image.height, len(jpeg.getvalue()), jpeg.getvalue()),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
    )


def _text_pdf_with_map(text: bytes, ranges: bytes) -> bytes:
    return mapped_text_pdf(b"BT /F1 18 Tf 20 120 Td (%b) Tj ET" % text, ranges, size=(324, 200))
