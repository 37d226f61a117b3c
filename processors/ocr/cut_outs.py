"""Lines cut out of a page, brought to another size, read by themselves, and their words put back in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2

from processors.ocr.engines.base import Engine, EngineWord, Script
from processors.ocr.geometry import PixelBox
from processors.ocr.ink import Ink
from processors.ocr.page_source import Pixels
from processors.ocr.spacing import respace

_MARGIN = 0.35
_BORDER = 8
_PAPER = 255


@dataclass(frozen=True, slots=True)
class CutOut:
    """A line's box in pixels of the page, the line and block that its words are of, and how high its words are.

    `high` 0: as high as the box.
    """

    box: PixelBox
    home: tuple[int, int]
    high: float = 0.0


def read_cut_outs(
    lines: Sequence[CutOut], grey: Pixels, dpi: float, ink: Ink, engine: Engine, script: Script, scale: float
) -> list[tuple[EngineWord, ...]]:
    """Read lines of a page, `scale` times as large, as of a script; words come back in the page's pixels."""
    areas = [_area(line, grey) for line in lines]
    read = engine.reread([_cut(grey, area, scale) for area in areas], dpi * scale, script)
    return [
        tuple(respace([_place(word, area, scale, line) for word in words], ink))
        for line, area, words in zip(lines, areas, read, strict=True)
    ]


def _area(line: CutOut, grey: Pixels) -> tuple[int, int, int, int]:
    left, top, right, bottom = line.box
    margin = _MARGIN * (line.high or bottom - top)
    return (
        max(0, int(left - margin)),
        max(0, int(top - margin)),
        min(grey.shape[1], int(right + margin) + 1),
        min(grey.shape[0], int(bottom + margin) + 1),
    )


def _cut(grey: Pixels, area: tuple[int, int, int, int], scale: float) -> Pixels:
    left, top, right, bottom = area
    piece = grey[top:bottom, left:right]
    if scale != 1.0:
        piece = cv2.resize(piece, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    edge = _BORDER
    return cast("Pixels", cv2.copyMakeBorder(piece, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=_PAPER))


def _place(word: EngineWord, area: tuple[int, int, int, int], scale: float, line: CutOut) -> EngineWord:
    """Return a word of a cut-out line on the page; its height is the line's, since cut-outs reach into neighbours."""
    x0, _, x1, _ = ((value - _BORDER) / scale for value in word.box)
    box = (x0 + area[0], line.box[1], x1 + area[0], line.box[3])
    return EngineWord(word.text, box, word.confidence, *line.home, word.weakest)
