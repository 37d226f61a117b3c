"""Dots and underscores that no reading has are put back where the ink shows them."""

import numpy as np
import pytest

from processors.ocr.engines.base import EngineWord
from processors.ocr.ink import Ink
from processors.ocr.lost_dots import DOUBTFUL, with_lost_dots

TOP, FOOT = 40, 56
LEFT = 20


def _drawn(text: str, *, touching: str = "") -> tuple[Ink, tuple[float, float, float, float]]:
    """Draw each letter as a block of its usual width; `touching` letters have none behind them, but before a sign."""
    mask = np.zeros((100, 600), np.bool_)
    x = LEFT
    for letter, behind in zip(text, text[1:] + " ", strict=True):
        if letter == ".":
            mask[FOOT - 4 : FOOT, x : x + 4] = True
            x += 8
        elif letter == "_":
            mask[FOOT + 2 : FOOT + 4, x : x + 12] = True
            x += 16
        elif letter == "i":
            mask[TOP - 6 : TOP - 2, x : x + 4] = mask[TOP:FOOT, x : x + 4] = True
            x += 8
        else:
            wide = 18 if letter in "mw@" else 12
            mask[TOP:FOOT, x : x + wide] = True
            x += wide + (0 if letter in touching and behind not in "._" else 4)
    return Ink(mask), (float(LEFT), TOP - 6.0, float(x), FOOT + 6.0)


@pytest.mark.parametrize(
    ("drawn", "read"),
    [
        pytest.param("kim.hr@gaon.go.kr", "kimhr@gaon.go.kr", id="in the user's name"),
        pytest.param("kim.hr@gaon.go.kr", "kim.hr@gaon.gokr", id="in the domain"),
        pytest.param("kim.hr@gaon.go.kr", "kimhr@gaongo.kr", id="two"),
        pytest.param("pu_team@gaon.kr", "puteam@gaon.kr", id="an underscore"),
        pytest.param("2025.10.1.", "2025.101.", id="a date"),
        pytest.param("2025.10.1.", "2025.10.1.", id="nothing lost"),
        pytest.param("kim@gaon.go.kr", "kim@gaon.go.kr", id="a letter's own dot is none"),
    ],
)
def test_the_ink_shows_what_was_lost(drawn: str, read: str) -> None:
    ink, box = _drawn(drawn)
    (word,) = with_lost_dots([EngineWord(read, box, 0.9, 0)], ink)
    assert (word.text, word.confidence) == (drawn, 0.9)


def test_where_letters_touch_their_widths_tell() -> None:
    ink, box = _drawn("kim.hr@gaon.go.kr", touching="go")
    (word,) = with_lost_dots([EngineWord("kimhr@gaon.go.kr", box, 0.9, 0)], ink)
    assert word.text == "kim.hr@gaon.go.kr"


def test_a_sign_whose_place_is_not_sure_makes_the_word_doubtful() -> None:
    # The dot stands in the middle of a letter's place: as likely before as behind it.
    ink, box = _drawn("aaa.aaaa@gaon.kr", touching="a")
    (word,) = with_lost_dots([EngineWord("aaaaaaaa@gaon.kr", box, 0.9, 0)], ink)
    assert (word.text, word.confidence) == ("aaaaaaaa@gaon.kr", DOUBTFUL)


@pytest.mark.parametrize("text", ["제출.hwpx", "1,200원", "3.5%", "끝."])
def test_other_words_are_left_alone(text: str) -> None:
    ink, box = _drawn("kim.hr.gaon.go.kr")
    word = EngineWord(text, box, 0.9, 0)
    assert with_lost_dots([word], ink) == [word]
