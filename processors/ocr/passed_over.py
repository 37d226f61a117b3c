"""Ink that no word covers: lines that the engine passed over, and letters at the ends of lines. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.engines.base import EngineWord
from processors.ocr.geometry import PixelBox
from processors.ocr.ink import Ink
from processors.ocr.word_boxes import around

_ROUND_A_WORD = (0.15, 0.3)
"""Ink that near a word, in its heights sideways and up and down, is its own: shadows, or its box is too tight."""

_BRIDGE_EM = 1.0
"""Letters that stand nearer to each other are one place."""

_HEIGHTS = (0.5, 3.0)
"""Places lower or higher than that, in heights of the page's words, are signs, or pictures."""

_LEAST_WIDTH = 1.5
"""A line of its own is that many times as wide as high, or it is a logo or a seal's piece."""

_BESIDE = 1.5
"""A place beside a line is no further from its words than that, in heights of the line."""

_SHARED = 0.6
_MAX_LINES = 6
"""Pages have one such line, if any; more are a picture's or a stamp's, and each costs a tenth of a second."""

_FULL = (0.06, 0.6)
"""Which share of its box letters fill with ink; rules and dirt fill less, pictures more."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Places with ink that no word covers: lines of their own, and by a line's index its box grown over them."""

    lines: tuple[PixelBox, ...]
    beside: Mapping[int, PixelBox]


NOTHING = PassedOver((), {})


def passed_over(lines: Sequence[Sequence[EngineWord]], ink: Ink) -> PassedOver:
    """Return what no word of a page's lines covers, the widest lines first."""
    words = [word for line in lines for word in line]
    if not words:
        return NOTHING
    em = float(np.median([word.box[3] - word.box[1] for word in words]))
    boxes = [around(line) for line in lines]
    alone: list[PixelBox] = []
    beside: dict[int, PixelBox] = {}
    for place in _places(words, ink, em):
        index = _line_beside(place, boxes)
        if index is not None:
            beside[index] = _lengthened(beside.get(index, boxes[index]), place)
        elif place[2] - place[0] >= _LEAST_WIDTH * (place[3] - place[1]):
            alone.append(place)
    alone.sort(key=lambda box: box[0] - box[2])
    return PassedOver(tuple(alone[:_MAX_LINES]), beside)


def _places(words: Sequence[EngineWord], ink: Ink, em: float) -> list[PixelBox]:
    left = ink.mask.astype(np.uint8)
    for word in words:
        x0, y0, x1, y1 = word.box
        side, above = (share * (y1 - y0) for share in _ROUND_A_WORD)
        left[max(0, int(y0 - above)) : int(y1 + above) + 1, max(0, int(x0 - side)) : int(x1 + side) + 1] = 0
    joined = cv2.dilate(left, np.ones((3, max(3, round(_BRIDGE_EM * em)) | 1), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    uncovered = Ink(left.astype(bool))
    found: list[PixelBox] = []
    for x, y, width, height in cast("npt.NDArray[np.int32]", stats)[1:count, :4].tolist():
        box = uncovered.tighten((x, y, x + width, y + height))
        high = box[3] - box[1]
        share = float(uncovered.mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])].mean())
        if _HEIGHTS[0] * em <= high <= _HEIGHTS[1] * em and _FULL[0] <= share <= _FULL[1]:
            found.append(box)
    return found


def _line_beside(place: PixelBox, boxes: Sequence[PixelBox]) -> int | None:
    """Return the index of the line that a place goes on with: on its level, no higher, close to it."""
    high = place[3] - place[1]
    for index, box in enumerate(boxes):
        height = box[3] - box[1]
        shared = min(box[3], place[3]) - max(box[1], place[1])
        gap = max(place[0] - box[2], box[0] - place[2])
        if shared >= _SHARED * min(high, height) and high <= 1.5 * height and gap <= _BESIDE * height:
            return index
    return None


def _lengthened(line: PixelBox, place: PixelBox) -> PixelBox:
    """Return a line's box reaching over a place beside it, no higher: that may touch the line below."""
    return min(line[0], place[0]), line[1], max(line[2], place[2]), line[3]
