"""Boxes of words and of the lines that they make, where an engine has made some of them too high. Pure."""

from collections.abc import Sequence
from statistics import median

from processors.ocr.engines.base import EngineWord
from processors.ocr.geometry import PixelBox

_FIGURE_WIDTH, _NARROWEST = 0.6, 0.75
"""Figures beside Hangul; and letters are no narrower than that for their height, in narrow fonts too."""

_TALL = 1.4
"""Times the usual height of its line's words a word is at least that stands out of the line."""


def is_padded(word: EngineWord) -> bool:
    """Whether a word is too narrow for type as high as its box: a speck or a line above has made the box so high."""
    hangul = sum("가" <= letter <= "힣" for letter in word.text)
    usual = hangul + _FIGURE_WIDTH * (len(word.text) - hangul)
    return word.box[2] - word.box[0] < _NARROWEST * usual * (word.box[3] - word.box[1])


def around(line: Sequence[EngineWord]) -> PixelBox:
    """Return the box around the words of a line, as high as those that no neighbouring line has made higher.

    At least one word is needed.
    """
    usual = median(word.box[3] - word.box[1] for word in line)
    level = [word.box for word in line if word.box[3] - word.box[1] < _TALL * usual or not is_padded(word)]
    lefts, _, rights, _ = zip(*(word.box for word in line), strict=True)
    _, tops, _, bottoms = zip(*(level or [word.box for word in line]), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
