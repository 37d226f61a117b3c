"""Words by their gaps: an engine's pieces are joined or kept apart by the ink between them, and boxed tightly.

Tesseract cuts Korean into syllables at random places, and its boxes often begin a letter too early;
the white between two words is wider than that between two letters. How wide depends on font and setting: justified
lines squeeze it, so each line's own gaps tell where one ends and the other begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from processors.ocr.engines.base import EngineWord
from processors.ocr.ink import Ink

WORD_GAP = 0.255
"""Least white between words, in heights of the line, where the line does not tell: letters stand up to .27 apart."""

_NARROWEST, _WIDEST = 0.12, 0.45
"""No limit lies outside of those, in heights of the line; wider gaps, as behind labels, count as the widest."""

_TELLING_GAPS = 6
"""A line with fewer gaps than that tells nothing of its setting."""

_APART = 0.1
"""By how much, in heights, the gaps between words are wider on average than those between letters."""

_TALL_QUANTILE = 0.75
_SLACK = 0.15
_RULE_SIGNS = "|｜¦ㅣ"

SPECK_CONFIDENCE = 0.6
"""Signs without a letter or figure that are less sure than that are dirt nine times in ten."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Ink from `left` to `right` without a gap as wide as one between words."""

    left: float
    right: float


def respace(words: Sequence[EngineWord], ink: Ink) -> list[EngineWord]:
    """Return the words of each line joined within unbroken ink, their boxes tight around it; specks are dropped."""
    result: list[EngineWord] = []
    for _, members in groupby(filter(_is_text, words), key=lambda word: (word.block, word.line)):
        result.extend(_respaced(list(members), ink))
    return result


def _is_text(word: EngineWord) -> bool:
    """Whether a word is more than a table's line or a speck of dirt that was taken for a sign."""
    if not word.text.strip(_RULE_SIGNS):
        return False
    return word.confidence >= SPECK_CONFIDENCE or any(letter.isalnum() and letter != "ㆍ" for letter in word.text)


def _respaced(line: list[EngineWord], ink: Ink) -> list[EngineWord]:
    # The engine's boxes are twice as high as their letters on some lines; the ink is not.
    areas = [ink.tighten(word.box) for word in line]
    height = float(np.quantile([area[3] - area[1] for area in areas], _TALL_QUANTILE))
    top, bottom = min(area[1] for area in areas), max(area[3] for area in areas)
    runs = _runs(line, ink, top, bottom, height)
    if not runs:
        return line
    homes = [_home(word, runs) for word in line]
    result: list[EngineWord] = []
    for home, members in groupby(zip(homes, line, strict=True), key=lambda pair: pair[0]):
        pieces = [piece for _, piece in members]
        left, right = _reach(home, pieces, runs, frozenset(homes))
        low = max(top, min(piece.box[1] for piece in pieces) - _SLACK * height)
        high = min(bottom, max(piece.box[3] for piece in pieces) + _SLACK * height)
        result.append(replace(_join(pieces), box=ink.tighten((left, low, right, high))))
    return result


def _runs(line: Sequence[EngineWord], ink: Ink, top: float, bottom: float, height: float) -> list[_Run]:
    left, right = min(word.box[0] for word in line), max(word.box[2] for word in line)
    margin = WORD_GAP * height
    columns, offset = ink.columns(top, bottom, left - margin, right + margin)
    inked = np.flatnonzero(columns)
    if not inked.size:
        return []
    # Columns that touch differ by one: the white between them is one less than the difference.
    white = np.diff(inked) - 1
    breaks = np.flatnonzero(white > height * word_gap(white[white > 0] / height))
    starts = inked[np.concatenate(([0], breaks + 1))]
    ends = inked[np.concatenate((breaks, [inked.size - 1]))] + 1
    return [_Run(float(offset + a), float(offset + b)) for a, b in zip(starts, ends, strict=True)]


def word_gap(gaps: npt.NDArray[np.float64]) -> float:
    """Return the least white between words of a line with these gaps, all in heights of the line.

    It is where the gaps part best into narrow and wide ones (Otsu's criterion).
    """
    widths = np.sort(np.minimum(gaps, _WIDEST))
    if widths.size < _TELLING_GAPS:
        return WORD_GAP
    middles = (widths[1:] + widths[:-1]) / 2
    below = np.arange(1, widths.size)
    sums = np.cumsum(widths)
    steps = (sums[-1] - sums[:-1]) / (widths.size - below) - sums[:-1] / below
    allowed = (middles >= _NARROWEST) & (middles <= _WIDEST) & (widths[1:] > widths[:-1])
    spread = np.where(allowed, below * (widths.size - below) * steps**2, 0.0)
    best = int(np.argmax(spread))
    return float(middles[best]) if allowed[best] and steps[best] >= _APART else WORD_GAP


def _home(word: EngineWord, runs: Sequence[_Run]) -> int:
    """Return the index of the run that a word's middle is in or nearest to.

    The middle, because engines' boxes reach over their neighbours far more often than they miss their word.
    """
    middle = (word.box[0] + word.box[2]) / 2
    return min(range(len(runs)), key=lambda i: max(runs[i].left - middle, middle - runs[i].right, 0.0))


def _reach(home: int, pieces: Sequence[EngineWord], runs: Sequence[_Run], taken: frozenset[int]) -> tuple[float, float]:
    """Return from where to where pieces reach: over their own run, and neighbours that nobody else is in."""
    left, right = min(piece.box[0] for piece in pieces), max(piece.box[2] for piece in pieces)

    def is_theirs(index: int) -> bool:
        run = runs[index]
        return index not in taken and min(run.right, right) - max(run.left, left) >= 0.5 * (run.right - run.left)

    first, last = home, home
    while first > 0 and is_theirs(first - 1):
        first -= 1
    while last < len(runs) - 1 and is_theirs(last + 1):
        last += 1
    return runs[first].left, runs[last].right


def _join(pieces: Sequence[EngineWord]) -> EngineWord:
    text = "".join(piece.text for piece in pieces)
    confidence = sum(piece.confidence * len(piece.text) for piece in pieces) / len(text)
    weakest = min(min(piece.confidence, piece.weakest) for piece in pieces)
    return EngineWord(text, pieces[0].box, confidence, pieces[0].line, pieces[0].block, weakest)
