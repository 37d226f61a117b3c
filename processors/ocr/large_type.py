"""Lines in large type, a letter's head foremost: which words of the page reading they are, and their own readings.

Read as part of a page, large type beside small is now and then cut in two: the upper halves of its letters make one
line and the lower halves another, each of them read with confidence. Cut out and brought to the usual height the same
line is read well: of 29 heads of letters of our own 24 were, of the page readings 14.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from processors.ocr.cut_outs import CutOut, read_cut_outs
from processors.ocr.engines.base import Engine, EngineWord, Script
from processors.ocr.geometry import PixelBox
from processors.ocr.ink import Ink
from processors.ocr.page_source import Pixels
from processors.ocr.word_boxes import is_padded

TALL = 1.3
"""How many times as high as the page's usual words one of large type is, at least."""

HEIGHT = 40
"""To how many pixels large type is brought before it is read: more says no more."""

PASSES = ((Script.MIXED, HEIGHT), (Script.KOREAN, HEIGHT), (Script.MIXED, 0.75 * HEIGHT))
"""As what a line in large type is read and how high, in pixels; the page reading takes the place of the first."""

MAX_HEADS = 4
"""A letter has a head and a signature in large type; a poster is not read better for that."""

_SHARED_HEIGHT, _SHARED_WIDTH = 0.3, 0.5
"""Words of two lines that share so much, of the lower and the narrower, are halves of the same letters."""

_GAP = 0.8
"""Words that stand nearer than that, in heights, belong together; a logo and letter-spaced syllables stand apart."""

_LEAST_WIDTH = 1.5
_HALVED = 1.6
"""What is higher than that, in heights of its tallest word, is several lines whose boxes touch."""

_SURE = 0.92
_WHOLE, _WHOLE_HIGH = 0.8, 0.75
"""One line has the whole letters when words that are so high, of the tallest, are so much of what all of them cover."""

Place = tuple[int, int]
"""A word of a page: its line and its position there."""


@dataclass(frozen=True, slots=True)
class Head:
    """A line in large type: its box, its words by line and position, and whether one line has the whole letters."""

    box: PixelBox
    words: frozenset[Place]
    whole: int | None


def heads(lines: Sequence[Sequence[EngineWord]]) -> list[Head]:
    """Return the lines in large type of a page, the highest first."""
    boxes = {(i, k): word.box for i, line in enumerate(lines) for k, word in enumerate(line)}
    if not boxes:
        return []
    em = float(np.median([_high(box) for box in boxes.values()]))
    halves = {
        place
        for one, other in combinations(boxes, 2)
        if one[0] != other[0] and _is_cut(boxes[one], boxes[other]) and _high(_around(boxes[one], boxes[other])) > em
        for place in (one, other)
    }
    groups: list[set[Place]] = []
    for place, box in boxes.items():
        if place not in halves and (_high(box) < TALL * em or is_padded(lines[place[0]][place[1]])):
            continue
        near = [group for group in groups if any(_belong(place, other, boxes) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append({place}.union(*near))
    tallest = [max(_high(boxes[place]) for place in group) for group in groups]
    found = [
        head
        for high, head in zip(tallest, (_head(group, boxes) for group in groups), strict=True)
        if _high(head.box) <= _HALVED * high and not _is_sure(head, lines)
    ]
    found = [
        one for one in found if one.box[2] - one.box[0] >= _LEAST_WIDTH * _high(one.box) >= _LEAST_WIDTH * TALL * em
    ]
    return sorted(found, key=lambda one: -_high(one.box))[:MAX_HEADS]


def read_heads(
    lines: list[tuple[EngineWord, ...]], grey: Pixels, dpi: float, ink: Ink, engine: Engine
) -> list[tuple[tuple[EngineWord, ...], ...]]:
    """Take lines in large type out of the page's and return the readings of each.

    The page's own reading is the first of them where it has whole letters.
    """
    found: list[tuple[tuple[EngineWord, ...], ...]] = []
    page = list(lines)
    for head in heads(page):
        cut_out = CutOut(head.box, min((page[i][k].line, page[i][k].block) for i, k in head.words))
        readings: list[tuple[EngineWord, ...]] = []
        if head.whole is not None:
            readings.append(tuple(word for k, word in enumerate(page[head.whole]) if (head.whole, k) in head.words))
        for script, height in PASSES[len(readings) :]:
            readings += read_cut_outs([cut_out], grey, dpi, ink, engine, script, height / _high(head.box))
        found.append(tuple(readings))
        for index in {i for i, _ in head.words}:
            taken = {id(page[index][k]) for i, k in head.words if i == index}
            lines[index] = tuple(word for word in lines[index] if id(word) not in taken)
    return found


def _head(group: set[Place], boxes: dict[Place, PixelBox]) -> Head:
    box = _around(*(boxes[place] for place in group))
    wide = {
        line: sum(
            boxes[p][2] - boxes[p][0] for p in group if p[0] == line and _high(boxes[p]) >= _WHOLE_HIGH * _high(box)
        )
        for line, _ in group
    }
    # Of what its words cover: gaps between letter-spaced syllables are nobody's.
    covered = _covered([boxes[place] for place in group])
    whole = [line for line, width in wide.items() if width >= _WHOLE * covered]
    return Head(box, frozenset(group), whole[0] if len(whole) == 1 else None)


def _covered(boxes: Sequence[PixelBox]) -> float:
    """Return how much of the width boxes cover, each place once."""
    width, reached = 0.0, float("-inf")
    for left, _, right, _ in sorted(boxes):
        width += max(0.0, right - max(left, reached))
        reached = max(reached, right)
    return width


def _is_sure(head: Head, lines: Sequence[Sequence[EngineWord]]) -> bool:
    return head.whole is not None and all(lines[i][k].confidence >= _SURE for i, k in head.words if i == head.whole)


def _belong(one: Place, other: Place, boxes: dict[Place, PixelBox]) -> bool:
    a, b = boxes[one], boxes[other]
    apart = max(a[0], b[0]) - min(a[2], b[2])
    level = min(a[3], b[3]) - max(a[1], b[1])
    return level > 0 and apart <= _GAP * max(_high(a), _high(b))


def _is_cut(a: PixelBox, b: PixelBox) -> bool:
    high = min(a[3], b[3]) - max(a[1], b[1])
    wide = min(a[2], b[2]) - max(a[0], b[0])
    return high >= _SHARED_HEIGHT * min(_high(a), _high(b)) and wide >= _SHARED_WIDTH * min(a[2] - a[0], b[2] - b[0])


def _high(box: PixelBox) -> float:
    return box[3] - box[1]


def _around(*boxes: PixelBox) -> PixelBox:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
