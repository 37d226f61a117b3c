"""Signs that stand for a name that is not said, `○○`, `△△`, `□□`, `◇◇`, found by their shape. Pure.

No engine knows them: they come out as `00`, `OO`, `디디` or a bracket, each time otherwise, and spoil the syllables
beside them. Two or three alike that stand together are easily told from letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.engines.base import EngineWord
from processors.ocr.geometry import PixelBox
from processors.ocr.ink import Ink
from processors.ocr.page_source import Pixels

_SIZE = (0.5, 1.3)
"""How high and wide a sign is, in heights of the page's words."""

_SQUARE = 1.2
_HOLLOW = 0.35
"""The hole fills at least that share of what the outline encloses."""

_ALIKE = 0.12
_GAP = 0.5
"""Signs that belong together differ no more in size and level, and stand no further apart, in their own size."""

_RUN = (2, 3)
_FULL, _ROUND, _HALF = (0.9, 1.01), (0.7, 0.87), (0.38, 0.62)
"""Share of its box that a square fills, a circle, and a triangle or a diamond."""

_LOW, _MIDDLE = 0.58, 0.55
_TOUCHES = 0.3
"""A word that stands nearer to the signs than that, in their size, is of one piece with them."""

SIGN_CONFIDENCE = 0.9
_PAPER = 255


@dataclass(frozen=True, slots=True)
class Signs:
    """A run of like signs: its text and its box."""

    text: str
    box: PixelBox


def hollow_signs(ink: Ink, em: float) -> list[Signs]:
    """Return the runs of two or three like signs on a page whose words are `em` pixels high."""
    found, tree = cv2.findContours(ink.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not found:
        return []
    single: list[Signs] = []
    for outline, (_, _, child, parent) in zip(found, cast("npt.NDArray[np.int32]", tree)[0].tolist(), strict=True):
        if parent != -1 or child == -1:
            continue
        x, y, width, height = cv2.boundingRect(outline)
        if not all(_SIZE[0] * em <= side <= _SIZE[1] * em for side in (width, height)):
            continue
        sign = _sign(outline, found[child], width, height)
        if sign:
            single.append(Signs(sign, (float(x), float(y), float(x + width), float(y + height))))
    return [_joined(run) for run in _runs(single, ink) if _RUN[0] <= len(run) <= _RUN[1]]


def lines_of(signs: Sequence[Signs], lines: Sequence[Sequence[EngineWord]]) -> dict[int, list[Signs]]:
    """Return the signs by the index of the line that they are on."""
    found: dict[int, list[Signs]] = {}
    for one in signs:
        index = next((i for i, line in enumerate(lines) if any(_overlap(word.box, one.box) > 0 for word in line)), None)
        if index is not None:
            found.setdefault(index, []).append(one)
    return found


def blanked(grey: Pixels, ink: Ink, signs: Sequence[Signs]) -> tuple[Pixels, Ink]:
    """Return the page and its ink with paper where the signs are."""
    clean, mask = grey.copy(), ink.mask.copy()
    for one in signs:
        x0, y0, x1, y1 = (int(value) for value in one.box)
        clean[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = _PAPER
        mask[y0:y1, x0:x1] = False
    return clean, Ink(mask)


def with_signs(line: Sequence[EngineWord], signs: Signs) -> list[EngineWord]:
    """Return a line's words with signs among them, of one word with the Hangul beside them.

    Circles that touch no Hangul may be two letters O, which they look like.
    """
    x0, _, x1, _ = signs.box
    near = _TOUCHES * (signs.box[3] - signs.box[1])
    behind = next((word for word in line if -near <= word.box[0] - x1 <= near and _is_hangul(word.text[0])), None)
    if behind is not None:
        box = (x0, behind.box[1], behind.box[2], behind.box[3])
        return [replace(word, text=signs.text + word.text, box=box) if word is behind else word for word in line]
    before = next((word for word in line if -near <= x0 - word.box[2] <= near and _is_hangul(word.text[-1])), None)
    if before is not None:
        box = (before.box[0], before.box[1], x1, before.box[3])
        return [replace(word, text=word.text + signs.text, box=box) if word is before else word for word in line]
    if not line:
        return []
    alone = replace(line[0], text=signs.text.replace("○", "O"), box=signs.box, confidence=SIGN_CONFIDENCE)
    return sorted([*line, alone], key=lambda word: word.box[0])


def _sign(outline: cv2.typing.MatLike, hole: cv2.typing.MatLike, width: int, height: int) -> str:
    area = cv2.contourArea(outline)
    if max(width, height) > _SQUARE * min(width, height) or cv2.contourArea(hole) < _HOLLOW * area:
        return ""
    share = area / ((width - 1) * (height - 1))
    if _FULL[0] <= share <= _FULL[1]:
        return "□"
    if _ROUND[0] <= share <= _ROUND[1]:
        return "○"
    if not _HALF[0] <= share <= _HALF[1]:
        return ""
    moments = cv2.moments(outline)
    level = moments["m01"] / moments["m00"] - cv2.boundingRect(outline)[1]
    return "△" if level > _LOW * height else "◇" if 1 - _MIDDLE < level / height < _MIDDLE else ""


def _runs(single: Sequence[Signs], ink: Ink) -> list[list[Signs]]:
    runs: list[list[Signs]] = []
    for one in sorted(single, key=lambda sign: sign.box[0]):
        run = next((run for run in runs if _goes_on(run[-1], one, ink)), None)
        if run is None:
            runs.append([one])
        else:
            run.append(one)
    return runs


def _goes_on(one: Signs, other: Signs, ink: Ink) -> bool:
    size = one.box[2] - one.box[0]
    edges = (abs(one.box[1] - other.box[1]), abs(one.box[3] - other.box[3]), abs(other.box[2] - other.box[0] - size))
    gap = other.box[0] - one.box[2]
    if one.text[0] != other.text or max(edges) > max(2.0, _ALIKE * size) or not 0 <= gap <= _GAP * size:
        return False
    between = ink.mask[int(one.box[1]) : int(one.box[3]), int(one.box[2]) : int(other.box[0])]
    return not between.any()


def _joined(run: Sequence[Signs]) -> Signs:
    lefts, tops, rights, bottoms = zip(*(sign.box for sign in run), strict=True)
    return Signs("".join(sign.text for sign in run), (min(lefts), min(tops), max(rights), max(bottoms)))


def _overlap(one: PixelBox, other: PixelBox) -> float:
    level = min(one[3], other[3]) - max(one[1], other[1])
    return min(one[2], other[2]) - max(one[0], other[0]) if level > 0 else 0.0


def _is_hangul(letter: str) -> bool:
    return "가" <= letter <= "힣"
