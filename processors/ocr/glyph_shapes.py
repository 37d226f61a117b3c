"""Whether the digits of a text layer can be the ones that the page shows. Pure.

A font whose table gives other valid letters has a layer without a fault in itself. What is drawn tells it: an 8 has two
holes, a 1 none, the hole of a 6 lies low and that of a 9 high. Digits that change places within a kind (1 2 3 5 7), and
letters, are not told apart so.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import cast

import cv2
import numpy as np

from processors.ocr.page_source import Picture, Pixels
from processors.ocr.pdf_text import Letter
from schemas.pages import Box

_SHAPES: dict[str, frozenset[str]] = {
    # A 0 may have a stroke or a dot in it, a 4 may be open; a 6 or 9 in small print may close to any degree.
    "0": frozenset({"middle", "two", "many"}),
    "1": frozenset({"none"}),
    "2": frozenset({"none"}),
    "3": frozenset({"none"}),
    "4": frozenset({"none", "high", "middle", "low"}),
    "5": frozenset({"none"}),
    "6": frozenset({"low", "none"}),
    "7": frozenset({"none"}),
    "8": frozenset({"two"}),
    "9": frozenset({"high", "none"}),
}
_SAMPLES, _LEAST_SAMPLES = 5, 3
_AGAINST = 0.75
"""Share of a digit's samples that contradict it; single ones are crossed by seals and lines."""

_LEAST_HEIGHT = 21
"""Pixels: below that holes fill up."""

_LEAST_HOLE = 0.012
"""Share of a digit's box; smaller holes are specks."""

_MIDDLE = (0.42, 0.58)


def doubtful_digits(letters: Sequence[Letter], picture: Picture) -> frozenset[str]:
    """Return the digits of a layer of which most that were looked at are drawn as another one."""
    seen: dict[str, Counter[bool]] = {}
    for letter in _spread(letters):
        counts = seen.setdefault(letter.text, Counter())
        shape = _shape(picture.pixels, letter.box) if counts.total() < _SAMPLES else None
        if shape is not None:
            counts[shape in _SHAPES[letter.text]] += 1
    return frozenset(
        digit
        for digit, counts in seen.items()
        if counts.total() >= _LEAST_SAMPLES and counts[False] >= _AGAINST * counts.total()
    )


def _spread(letters: Sequence[Letter]) -> Iterable[Letter]:
    """Return the digits in an order that takes them from all over the page: one font does not stand for all."""
    digits = [letter for letter in letters if letter.text in _SHAPES]
    step = max(1, len(digits) // (len(_SHAPES) * _SAMPLES))
    return [digit for first in range(step) for digit in digits[first::step]]


def _shape(pixels: Pixels, box: Box) -> str | None:
    """Return which holes a digit is drawn with; None where it is too small, or light on dark."""
    height, width = pixels.shape[:2]
    left, top = max(0, int(box[0] * width) - 1), max(0, int(box[1] * height) - 1)
    # Only the digit's own pixels are made grey: a page of them takes longer than all the rest.
    cut = _grey(pixels[top : int(box[3] * height) + 2, left : int(box[2] * width) + 2])
    if cut.shape[0] < _LEAST_HEIGHT or cut.shape[1] < 4:
        return None
    level, ink = cv2.threshold(cut, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    dark, light = cut[ink > 0], cut[ink == 0]
    # Without ink of its own the digit is hidden; more ink than paper is a digit in white.
    if level < 1 or not dark.size or not light.size or dark.size > light.size:
        return None
    if float(light.mean()) - float(dark.mean()) < 60:
        return None
    return _holes(cast("Pixels", cv2.copyMakeBorder(ink, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)))


def _holes(ink: Pixels) -> str:
    paper = cast("Pixels", cv2.bitwise_not(ink))
    count, _, stats, centres = cv2.connectedComponentsWithStats(paper, connectivity=4)
    rows, columns = ink.shape
    # The first label is ink, and the paper around touches the edge.
    holes = [
        float(centres[i][1])
        for i in range(1, count)
        if stats[i, cv2.CC_STAT_LEFT] > 0
        and stats[i, cv2.CC_STAT_TOP] > 0
        and stats[i, cv2.CC_STAT_AREA] >= _LEAST_HOLE * rows * columns
    ]
    if len(holes) != 1:
        return "none" if not holes else "two" if len(holes) == 2 else "many"
    used = np.flatnonzero(ink.any(axis=1))
    at = (holes[0] - int(used[0])) / max(1, int(used[-1]) - int(used[0]))
    return "high" if at < _MIDDLE[0] else "low" if at > _MIDDLE[1] else "middle"


def _grey(pixels: Pixels) -> Pixels:
    return cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) if pixels.ndim == 3 else pixels
