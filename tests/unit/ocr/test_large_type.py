"""Lines in large type are found, whole or cut in halves, and read by themselves."""

from collections.abc import Sequence

import numpy as np
import pytest

from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.ink import Ink
from processors.ocr.large_type import HEIGHT, heads
from processors.ocr.page_source import Pixels
from processors.ocr.rereading import gather, reread

SHAPE = (600, 900)


def _word(
    text: str, left: float, top: float, right: float, bottom: float, line: int, confidence: float = 0.95
) -> EngineWord:
    return EngineWord(text, (left, top, right, bottom), confidence, line)


BODY = [
    tuple(
        _word(text, 60 + 90 * k, 200 + 50 * i, 130 + 90 * k, 228 + 50 * i, i + 5)
        for k, text in enumerate(("관련", "사업", "계획"))
    )
    for i in range(4)
]


@pytest.mark.parametrize(
    ("lines", "box", "whole"),
    [
        pytest.param([[_word("큰별시", 300, 80, 430, 125, 0, 0.8)]], (300, 80, 430, 125), 0, id="whole"),
        pytest.param(
            [[_word("지벼도보", 300, 80, 530, 120, 0)], [_word("근ㅇ200", 300, 100, 530, 140, 1)]],
            (300, 80, 530, 140),
            None,
            id="two halves, each sure",
        ),
        pytest.param(
            [[_word("즈K", 305, 84, 400, 104, 0)], [_word("다온기전", 300, 80, 530, 125, 1, 0.8)]],
            (300, 80, 530, 125),
            1,
            id="the whole and its upper half",
        ),
        pytest.param(
            [[_word("@", 60, 75, 120, 135, 0), _word("큰별시", 300, 80, 430, 125, 0, 0.8)]],
            (300, 80, 430, 125),
            0,
            id="a logo stands apart",
        ),
        pytest.param(
            [
                [
                    _word("산", 300, 80, 350, 132, 0, 0.9),
                    _word("들", 366, 80, 416, 132, 0, 0.9),
                    _word("도", 432, 84, 482, 125, 0, 0.9),
                ]
            ],
            (300, 80, 482, 132),
            0,
            id="letter-spaced, one syllable lower",
        ),
    ],
)
def test_where_large_type_is(
    lines: list[list[EngineWord]], box: tuple[float, float, float, float], whole: int | None
) -> None:
    (found,) = heads([*lines, *BODY])
    assert (found.box, found.whole) == (box, whole)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param([], id="none"),
        pytest.param([_word("큰별시", 300, 80, 430, 125, 0, 0.97)], id="read well as it is"),
        pytest.param([_word("제목", 300, 80, 370, 110, 0, 0.5)], id="as high as others"),
        pytest.param([_word("044-555-0361", 300, 80, 470, 123, 0, 0.7)], id="too narrow for its height: figures"),
        pytest.param([_word("갈숲시장(환경관리과장)", 300, 80, 633, 144, 0, 0.69)], id="too narrow for its height"),
        pytest.param(
            [_word("아", 300, 80, 345, 125, 0, 0.8), _word("침", 420, 80, 465, 125, 0, 0.8)], id="letter-spaced"
        ),
    ],
)
def test_what_is_left_as_it_is(line: list[EngineWord]) -> None:
    assert heads([line, *BODY]) == []


def test_lines_whose_boxes_touch_are_not_one() -> None:
    tall = [[_word("수신처명", 300, 60 + 44 * i, 400, 106 + 44 * i, i, 0.8)] for i in range(3)]
    assert all(head.box[3] - head.box[1] < 60 for head in heads([*tall, *BODY]))


class _Reader:
    """An engine that reads the same in every cut-out, and remembers how high those were."""

    name = "reader"

    def __init__(self, korean: str, mixed: str) -> None:
        self._texts = {Script.KOREAN: korean, Script.MIXED: mixed}
        self.heights: list[int] = []

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        raise AssertionError("the page was read before")

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        raise AssertionError("the page was read before")

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        self.heights += [line.shape[0] for line in lines]
        return [
            [EngineWord(self._texts[script], (8.0, 8.0, line.shape[1] - 8.0, line.shape[0] - 8.0), 0.9, 0)]
            for line in lines
        ]


def _page(*boxes: tuple[int, int, int, int]) -> tuple[Pixels, Ink]:
    mask = np.zeros(SHAPE, np.bool_)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1:3] = True
        mask[y0:y1, x1 - 1] = True
    return np.where(mask, 0, 255).astype(np.uint8), Ink(mask)


def _boxes(words: Sequence[EngineWord]) -> list[tuple[int, int, int, int]]:
    return [(int(w.box[0]), int(w.box[1]), int(w.box[2]), int(w.box[3])) for w in words]


def test_halves_give_way_to_what_is_read_in_their_place() -> None:
    body = [word for line in BODY for word in line]
    halves = [_word("지벼도보", 300, 80, 530, 120, 0), _word("근ㅇ200", 300, 100, 530, 140, 1)]
    grey, ink = _page((300, 80, 530, 140), *_boxes(body))
    reader = _Reader("질병돌봄청", "질병돌봄청")
    words = reread([*halves, *body], grey, 200.0, ink, reader)

    texts = [word.text for word in words]
    assert "질병돌봄청" in texts
    assert not {"지벼도보", "근ㅇ200"} & set(texts)
    assert min(reader.heights) < max(reader.heights) < 2.5 * HEIGHT


def test_a_whole_line_keeps_its_reading_among_the_others() -> None:
    body = [word for line in BODY for word in line]
    head = _word("큰별시", 300, 80, 430, 125, 0, 0.8)
    grey, ink = _page((300, 80, 430, 125), *_boxes(body))
    readings = gather([head, *body], grey, 200.0, ink, _Reader("큰벌시", "큰별시"))

    assert [[word.text for word in reading] for reading in readings.again[len(readings.lines) - 1]] == [
        ["큰별시"],
        ["큰벌시"],
        ["큰별시"],
    ]
    assert all(word.text != "큰별시" for line in readings.lines[:-1] for word in line)
