"""Signs that stand for a name are found by their shape and put beside the word they belong to."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.hollow_signs import Signs, hollow_signs, with_signs
from processors.ocr.ink import Ink
from processors.ocr.page_source import Pixels
from processors.ocr.rereading import reread

EM = 26.0


def _draw(kinds: str, *, gap: int = 5, size: int = 24) -> Pixels:
    page = np.full((120, 600), 255, np.uint8)
    for index, kind in enumerate(kinds):
        x, y, end = 100 + index * (size + gap), 40, size - 1
        if kind == "□":
            cv2.rectangle(page, (x, y), (x + end, y + end), 0, 2)
        elif kind == "■":
            cv2.rectangle(page, (x, y), (x + end, y + end), 0, -1)
        elif kind == "○":
            cv2.circle(page, (x + size // 2, y + size // 2), size // 2 - 1, 0, 2)
        elif kind == "0":
            cv2.ellipse(page, (x + size // 2, y + size // 2), (size // 4, size // 2 - 1), 0, 0, 360, 0, 2)
        elif kind == "△":
            corners = [[x + size // 2, y], [x, y + end], [x + end, y + end]]
            cv2.polylines(page, [np.array(corners, np.int32)], True, 0, 2)
        elif kind == "◇":
            middle = size // 2
            corners = [[x + middle, y], [x, y + middle], [x + middle, y + end], [x + end, y + middle]]
            cv2.polylines(page, [np.array(corners, np.int32)], True, 0, 2)
    return page


@pytest.mark.parametrize("signs", ["□□", "○○", "△△", "◇◇", "○○○"])
def test_signs_are_told_by_their_shape(signs: str) -> None:
    (found,) = hollow_signs(Ink(_draw(signs) < 128), EM)
    assert found.text == signs
    assert found.box[0] == pytest.approx(100, abs=2)
    assert found.box[2] == pytest.approx(100 + 29 * len(signs) - 5, abs=2)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(_draw("□"), id="one is a mark before an item"),
        pytest.param(_draw("□□□□□□"), id="a row of boxes to fill in"),
        pytest.param(_draw("■■"), id="filled"),
        pytest.param(_draw("00"), id="figures are narrow"),
        pytest.param(_draw("□○"), id="not alike"),
        pytest.param(_draw("□□", gap=40), id="too far apart"),
        pytest.param(_draw("□□", size=60), id="too large"),
    ],
)
def test_what_is_no_sign_for_a_name(page: Pixels) -> None:
    assert hollow_signs(Ink(page < 128), EM) == []


def _word(text: str, left: float, right: float) -> EngineWord:
    return EngineWord(text, (left, 40.0, right, 64.0), 0.9, 0)


@pytest.mark.parametrize(
    ("line", "signs", "expected"),
    [
        ([_word("1.", 60, 80), _word("지구", 158, 200)], "□□", ["1.", "□□지구"]),
        ([_word("기관", 50, 96), _word("사업", 200, 240)], "○○", ["기관○○", "사업"]),
        ([_word("기관", 20, 60), _word("사업", 200, 240)], "△△", ["기관", "△△", "사업"]),
        ([_word("G", 80, 97), _word("D", 157, 174)], "○○", ["G", "OO", "D"]),
    ],
)
def test_signs_go_to_the_word_they_touch(line: list[EngineWord], signs: str, expected: list[str]) -> None:
    words = with_signs(line, Signs(signs, (100.0, 40.0, 155.0, 64.0)))
    assert [word.text for word in words] == expected
    assert min(word.box[0] for word in words if signs[0] in word.text or "O" in word.text) <= 100


class _Reader:
    """An engine that reads the word behind the signs, and fails where it sees the signs."""

    name = "reader"

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        raise AssertionError("the page was read before")

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        raise AssertionError("the page was read before")

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        found: list[list[EngineWord]] = []
        for line in lines:
            columns = np.flatnonzero((line < 128).any(axis=0))
            left, right = float(columns[0]), float(columns[-1] + 1)
            scale = (line.shape[0] - 16) / 42
            text = "지구" if right - left < 60 * scale else "디디지구"
            found.append([EngineWord(text, (left, 8.0, right, line.shape[0] - 8.0), 0.9, 0)])
        return found


def test_a_line_with_signs_is_read_without_them_and_gets_them_back() -> None:
    grey = _draw("□□")
    grey[40:64, 160:206:3] = 0
    page = [EngineWord("디디지구", (100.0, 40.0, 205.0, 64.0), 0.9, 0)]
    (word,) = reread(page, grey, 200.0, Ink(grey < 128), _Reader())

    assert word.text == "□□지구"
    assert (word.box[0], word.box[2]) == (pytest.approx(100, abs=2), pytest.approx(206, abs=3))
