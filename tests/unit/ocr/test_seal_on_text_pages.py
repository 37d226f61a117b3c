"""A page whose text comes from the file is still looked at for a seal."""

from pathlib import Path

import numpy as np
import pytest

from processors.llm.gongmun.extract import extract
from processors.ocr.child import open_document, read_page
from processors.ocr.documents import InputFile
from processors.ocr.limits import Limits, ReadOptions
from processors.ocr.prepare.seal import find
from schemas.pages import Document, Page

DATA = Path(__file__).parents[2] / "data" / "gongmun"


def _page(name: str) -> Page:
    files = (InputFile(str(DATA / f"{name}.pdf"), "application/pdf", name),)
    assert open_document(files, Limits()) == 1
    return read_page(files, Limits(), 1, ReadOptions())[0]


@pytest.mark.parametrize(
    ("name", "status"), [("pub1", "present"), ("pri1", "present"), ("pri2", "omitted"), ("for1", "none")]
)
def test_a_seal_is_seen_beside_a_text_layer(name: str, status: str) -> None:
    page = _page(name)
    assert page.source == "text"
    assert [mark.kind for mark in page.marks] == (["seal"] if status == "present" else [])
    result = extract(Document((page,)))
    assert result["seal"]["status"] == status


def test_a_grey_picture_has_none() -> None:
    assert find(np.full((300, 200), 255, np.uint8), 200.0) == ()


def test_a_seal_is_found_where_it_is() -> None:
    pixels = np.full((600, 600, 3), 255, np.uint8)
    pixels[200:360, 100:260] = (200, 40, 40)
    pixels[220:340, 120:240] = 255
    ((x0, y0, x1, y1),) = find(pixels, 200.0)
    assert (x0, y0, x1, y1) == pytest.approx((100, 200, 260, 360), abs=6)
