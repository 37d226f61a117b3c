"""A text layer whose font gives other digits than it draws goes to OCR; one that is honest is read as it is."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from processors.ocr.child import read_page
from processors.ocr.documents import InputFile, open_files
from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.limits import Limits, ReadOptions
from processors.ocr.page_source import Pixels
from processors.ocr.reading import read
from tests.pdf_by_hand import mapped_text_pdf

LINES = ("Ref 1034 of 25 08 2019", "Telephone 051 555 0911", "Fax 051 555 0918 and 0986", "Sum 4,618,070 of 8,301,896")


def _pdf(shown: Sequence[str] = LINES, swapped: str = "", size: int = 14, font: bytes = b"Helvetica") -> bytes:
    """Return a page whose font gives, of each two digits of `swapped`, the one for the other."""
    halves = list(zip(swapped[::2], swapped[1::2], strict=True))
    pairs = dict(halves) | {b: a for a, b in halves}
    table = b"".join(b"<%02x> <%04x>\n" % (ord(c), ord(pairs.get(c, c))) for c in map(chr, range(0x20, 0x7F)))
    text = b" ".join(b"(%b) Tj 0 -30 Td" % line.encode() for line in shown)
    content = b"BT /F1 %d Tf 40 340 Td %b ET" % (size, text)
    return mapped_text_pdf(content, b"95 beginbfchar\n%bendbfchar" % table, size=(400, 400), font=font)


def _file(tmp_path: Path, raw: bytes) -> InputFile:
    path = tmp_path / "page.pdf"
    path.write_bytes(raw)
    return InputFile(str(path), "application/pdf", "page.pdf")


class _Engine:
    """Reads the same words from any picture, and tells how often it was asked."""

    name = "stub"

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)
        self.asked = 0

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        del pixels, dpi, layout
        self.asked += 1
        return [EngineWord(self._texts[(self.asked - 1) % len(self._texts)], (0, 0, 10, 10), 0.9, 0)]

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        return [[] for _ in pages]

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        raise AssertionError("no line is read again")


def _source(tmp_path: Path, raw: bytes, engine: _Engine) -> str:
    page = open_files([_file(tmp_path, raw)], Limits()).page(1)
    return read([(1, page)], engine)[0][0].source


@pytest.mark.parametrize("swapped", ["18", "08", "10", "1086", "69"])
def test_digits_that_are_drawn_as_others_are_read_from_the_page(tmp_path: Path, swapped: str) -> None:
    files = (_file(tmp_path, _pdf(swapped=swapped)),)
    page, _ = read_page(files, Limits(), 1, ReadOptions())

    assert page.source == "ocr"
    assert {"1034", "0911"} <= {word.text for word in page.words}


@pytest.mark.parametrize("font", [b"Helvetica", b"Times-Roman", b"Courier", b"Helvetica-Bold"])
@pytest.mark.parametrize("size", [8, 14])
def test_an_honest_layer_is_read_without_the_engine(tmp_path: Path, font: bytes, size: int) -> None:
    engine = _Engine("")

    assert _source(tmp_path, _pdf(font=font, size=size), engine) == "text"
    assert engine.asked == 0


def test_a_doubt_that_the_engine_does_not_share_changes_nothing(tmp_path: Path) -> None:
    """Fonts may draw digits oddly: what the layer says is only given up when the page is read to say otherwise."""
    engine = _Engine("4,681,070 of 1,308,196", "058 555 0981 and 0916", "8034 of 25 01 2089")

    assert _source(tmp_path, _pdf(swapped="18"), engine) == "text"
    assert engine.asked == 3


def test_an_engine_that_reads_no_digits_says_nothing_against_the_layer(tmp_path: Path) -> None:
    engine = _Engine("illegible")

    assert _source(tmp_path, _pdf(swapped="18"), engine) == "text"
    assert 1 <= engine.asked <= 3
