"""Dots and underscores of addresses and dates that no reading has, found in the ink. Pure.

They are what engines lose most easily, and every pass loses the same one: `kimhr@` for `kim.hr@`, `2025.101.` for
`2025. 10. 1.` In the ink they are the lowest marks of a word and have no other above them, each alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.engines.base import EngineWord
from processors.ocr.ink import Ink

DOUBTFUL = 0.45
"""How sure a word is at most that has more dots in its ink than letters, where it does not show which were lost."""

_DOTTED = re.compile(r"(?=.{4})(?:[\w.%+-]+@[\w.-]+|'?\d{2,4}\.[\d.]+)[.,)]?", re.ASCII)
"""An e-mail address or a date in figures, which have a dot that was read to tell others by."""

_SIGNS = re.compile(r"[._]")
_NARROW, _WIDE = "ijlftr.,'-", "mw@MW"
_APART = 0.3
"""By how many letters' widths the second best place for a sign has to be worse than the best."""

_MOST_LOST = 2
_MARGIN = 3
_ALIKE, _LEVEL = 0.4, 0.12
"""Dots differ by no more than that in area, and in the level of their foot by that share of the letters' height."""

_OVERLAP = 0.5
_FLAT, _LONG = 3.0, 1.8
"""An underscore is so many times as wide as it is high, and as a dot is wide."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What stands above one another in a word's ink: left and right edge, top, foot, ink, in how many pieces."""

    left: int
    right: int
    top: int
    foot: int
    area: int
    pieces: int = 1

    def with_other(self, other: "_Mark") -> "_Mark":
        return _Mark(
            min(self.left, other.left),
            max(self.right, other.right),
            min(self.top, other.top),
            max(self.foot, other.foot),
            self.area + other.area,
            self.pieces + other.pieces,
        )


def with_lost_dots(words: Sequence[EngineWord], ink: Ink) -> list[EngineWord]:
    """Return the words with dots and underscores that the ink shows; a word that misses some is else doubtful."""
    return [_with_dots(word, _marks(word, ink)) if _DOTTED.fullmatch(word.text) else word for word in words]


def _with_dots(word: EngineWord, marks: Sequence[_Mark]) -> EngineWord:
    signs = [_sign(mark, marks) for mark in marks]
    lost = sum(map(bool, signs)) - len(_SIGNS.findall(word.text))
    if not 0 < lost <= _MOST_LOST:
        return word
    letters = _SIGNS.sub("", word.text)
    if len(signs) - sum(map(bool, signs)) == len(letters):
        left = iter(letters)
        return replace(word, text="".join(sign or next(left) for sign in signs))
    # Letters that touch are one mark: their widths tell which of them stand before the sign.
    text = _by_width(word.text, marks, signs) if lost == 1 else None
    return replace(word, text=text) if text else replace(word, confidence=min(word.confidence, DOUBTFUL))


def _by_width(text: str, marks: Sequence[_Mark], signs: Sequence[str]) -> str | None:
    """Return the text with its lost sign where those of the ink then stand best; None where two places are alike."""
    found = [(sign, (mark.left + mark.right) / 2) for sign, mark in zip(signs, marks, strict=True) if sign]
    left, right = marks[0].left, marks[-1].right
    costs: dict[str, float] = {}
    for index, (sign, _) in enumerate(found):
        inner = [match.start() for match in _SIGNS.finditer(text)]
        for at in range(([-1, *inner])[index] + 1, ([*inner, len(text)])[index] + 1):
            filled = text[:at] + sign + text[at:]
            widths = [_width(letter) for letter in filled]
            whole = sum(widths)
            places = [
                left + (right - left) * (sum(widths[:i]) + widths[i] / 2) / whole
                for i, letter in enumerate(filled)
                if _SIGNS.match(letter)
            ]
            off = max(abs(place - x) for place, (_, x) in zip(places, found, strict=True))
            costs[filled] = off * whole / (right - left)
    best, *others = sorted(costs, key=lambda filled: costs[filled])
    return best if not others or costs[others[0]] - costs[best] >= _APART else None


def _width(letter: str) -> float:
    return 0.5 if letter in _NARROW else 1.5 if letter in _WIDE else 1.0


def _marks(word: EngineWord, ink: Ink) -> list[_Mark]:
    """Return the marks of a word's ink from left to right, those that stand above one another as one."""
    x0, y0 = max(0, int(word.box[0]) - _MARGIN), max(0, int(word.box[1]) - _MARGIN)
    piece = ink.mask[y0 : int(word.box[3]) + _MARGIN, x0 : int(word.box[2]) + _MARGIN]
    if not piece.size:
        return []
    _, _, stats, _ = cv2.connectedComponentsWithStats(piece.astype(np.uint8), connectivity=8)
    rows = cast("npt.NDArray[np.int32]", stats)[1:].tolist()
    marks: list[_Mark] = []
    for x, y, wide, high, area in sorted(rows):
        mark = _Mark(x, x + wide, y, y + high, area)
        if marks and min(marks[-1].right, mark.right) - mark.left >= _OVERLAP * min(
            wide, marks[-1].right - marks[-1].left
        ):
            marks[-1] = marks[-1].with_other(mark)
        else:
            marks.append(mark)
    return marks


def _sign(mark: _Mark, marks: Sequence[_Mark]) -> str:
    """Return the sign that a mark is: a dot, an underscore, or none where it is a letter."""
    dots = _dots(marks)
    if not dots:
        return ""
    if mark in dots:
        return "."
    high, wide = mark.foot - mark.top, mark.right - mark.left
    dot = dots[0]
    below = mark.top >= dot.top + (dot.foot - dot.top) / 2
    return "_" if below and mark.pieces == 1 and wide >= _FLAT * high and wide >= _LONG * (dot.right - dot.left) else ""


def _dots(marks: Sequence[_Mark]) -> list[_Mark]:
    """Return the marks that are dots: small, about square, in one piece, on the line that most letters stand on."""
    if not marks:
        return []
    height = float(np.median([mark.foot - mark.top for mark in marks]))
    base = float(np.median([mark.foot for mark in marks]))
    found = [
        mark
        for mark in marks
        if mark.pieces == 1
        and max(mark.foot - mark.top, mark.right - mark.left) <= 0.4 * height
        and abs((mark.right - mark.left) - (mark.foot - mark.top)) <= 2
        and abs(mark.foot - base) <= max(1.0, _LEVEL * height)
    ]
    usual = float(np.median([mark.area for mark in found])) if found else 0.0
    return [mark for mark in found if abs(mark.area - usual) <= max(2.0, _ALIKE * usual)]
