"""Ink that no word covers is found, and its place read again."""

from collections.abc import Sequence

import numpy as np
import pytest

from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.geometry import PixelBox
from processors.ocr.ink import Ink
from processors.ocr.page_source import Pixels
from processors.ocr.passed_over import NOTHING, passed_over
from processors.ocr.rereading import reread

LINE = [EngineWord("빈집", (60.0, 50.0, 98.0, 70.0), 0.95, 0), EngineWord("정비", (110.0, 50.0, 148.0, 70.0), 0.95, 0)]


def _ink(*boxes: tuple[int, int, int, int]) -> Ink:
    mask = np.zeros((300, 600), np.bool_)
    for x0, y0, x1, y1 in [(60, 50, 98, 70), (110, 50, 148, 70), *boxes]:
        # Letters fill a third of their box.
        mask[y0:y1, x0:x1:3] = True
        mask[y0:y1, x1 - 1] = True
    return Ink(mask)


def test_ink_under_words_is_nothing_to_read_again() -> None:
    assert passed_over([LINE], _ink()) == NOTHING
    assert passed_over([], _ink()) == NOTHING


@pytest.mark.parametrize(
    ("letters", "grown"),
    [
        pytest.param((38, 50, 54, 70), (38, 50, 148, 70), id="the first letter"),
        pytest.param((156, 51, 190, 69), (60, 50, 190, 70), id="the last ones"),
    ],
)
def test_letters_at_the_ends_of_a_line_are_its_own(letters: tuple[int, int, int, int], grown: PixelBox) -> None:
    found = passed_over([LINE], _ink(letters))
    assert (found.lines, dict(found.beside)) == ((), {0: grown})


def test_a_line_that_grows_sideways_does_not_reach_over_the_line_below() -> None:
    found = passed_over([LINE], _ink((156, 52, 190, 79)))

    assert dict(found.beside) == {0: (60, 50, 190, 70)}


@pytest.mark.parametrize(
    ("box", "count"),
    [
        pytest.param((60, 120, 300, 140), 1, id="a line"),
        pytest.param((60, 120, 300, 124), 0, id="an underline is too low"),
        pytest.param((60, 120, 84, 140), 0, id="a mark is too narrow"),
        pytest.param((60, 120, 300, 220), 0, id="a picture is too high"),
    ],
)
def test_what_is_a_line_of_its_own(box: tuple[int, int, int, int], count: int) -> None:
    found = passed_over([LINE], _ink(box))
    assert (len(found.lines), dict(found.beside)) == (count, {})


class _Reader:
    """An engine that reads the same in every cut-out, but for what it is told to see alone."""

    name = "reader"

    def __init__(self, korean: str, mixed: str) -> None:
        self._texts = {Script.KOREAN: korean, Script.MIXED: mixed}

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        raise AssertionError("the page was read before")

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        raise AssertionError("the page was read before")

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        sizes = [line.shape for line in lines]
        return [
            [EngineWord(self._texts[script], (8.0, 8.0, width - 8.0, height - 8.0), 0.9, 0)] for height, width in sizes
        ]


@pytest.mark.parametrize(
    ("korean", "mixed", "expected"),
    [
        pytest.param("계획알림", "계획알림", ["빈집", "정비", "계획알림"], id="two readings agree"),
        pytest.param("계획알림", "AYASS", ["빈집", "정비"], id="a line that each reads otherwise is left"),
    ],
)
def test_a_line_that_was_passed_over_is_read_by_itself(korean: str, mixed: str, expected: list[str]) -> None:
    ink = _ink((60, 120, 300, 140))
    grey = np.where(ink.mask, 0, 255).astype(np.uint8)
    words = reread(LINE, grey, 200.0, ink, _Reader(korean, mixed))
    assert [word.text for word in words] == expected
    assert all(word.box[1] > 110 for word in words[2:])
