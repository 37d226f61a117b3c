"""Which words' boxes an engine has made too high, and how high their line is without those."""

import pytest

from processors.ocr.engines.base import EngineWord
from processors.ocr.geometry import PixelBox
from processors.ocr.word_boxes import around, is_padded


def _word(text: str, *box: float) -> EngineWord:
    left, top, right, bottom = box
    return EngineWord(text, (left, top, right, bottom), 0.9, 0)


@pytest.mark.parametrize(
    ("word", "padded"),
    [
        pytest.param(_word("회,", 712, 1672, 733, 1728), True, id="a line above is in its box"),
        pytest.param(_word("군수", 712, 1688, 756, 1712), False, id="as wide as its letters are high"),
        pytest.param(_word("2025", 712, 1688, 764, 1712), False, id="figures are narrower"),
    ],
)
def test_letters_are_about_as_wide_as_high(word: EngineWord, padded: bool) -> None:
    assert is_padded(word) == padded


@pytest.mark.parametrize(
    ("line", "box"),
    [
        pytest.param(
            [
                _word("도시", 523, 1688, 567, 1712),
                _word("회,", 712, 1672, 733, 1728),
                _word("장", 800, 1688, 824, 1713),
            ],
            (523, 1688, 824, 1713),
            id="a padded word is as wide, and no higher",
        ),
        pytest.param(
            [_word("한", 10, 20, 30, 42), _word("글", 34, 20, 54, 42), _word("큰별시", 80, 0, 200, 44)],
            (10, 0, 200, 44),
            id="larger type is part of its line",
        ),
        pytest.param([_word("회,", 712, 1672, 733, 1728)], (712, 1672, 733, 1728), id="alone"),
    ],
)
def test_the_box_around_a_line(line: list[EngineWord], box: PixelBox) -> None:
    assert around(line) == box
