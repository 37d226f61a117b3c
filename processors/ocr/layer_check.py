"""Whether a text layer is belied by the page, where its digits are drawn as others: some lines are read to tell."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from difflib import SequenceMatcher

import numpy as np

from processors.ocr.engines.base import Engine, Layout
from processors.ocr.page_source import Picture, Pixels
from schemas.pages import Box, Word

_LINES = 3
"""A line takes the engine a sixth of a second; on three the doubted digits stand often enough."""

_MARGIN = 12
"""Pixels of white around a line: engines want some."""

_LEAST_RIGHT = 0.5
"""Share of the doubted digits that the engine has to read as the layer has them."""


def is_belied(words: Sequence[Word], doubted: Collection[str], picture: Picture, engine: Engine) -> bool:
    """Tell whether the engine reads other digits than a page's own words have; nothing is read without a doubt."""
    if not doubted:
        return False
    right = seen = 0
    for members in _lines_with_most(words, doubted):
        own = _digits(word.text for word in sorted(members, key=lambda word: word.box[0]))
        found = engine.read(_cut(picture.pixels, [word.box for word in members]), picture.dpi, Layout.LINE)
        read = _digits(word.text for word in sorted(found, key=lambda word: word.box[0]))
        # A line of which the engine reads little tells nothing.
        if len(read) >= len(own) / 2:
            alike = _alike(own, read)
            seen += sum(digit in doubted for digit in own)
            right += sum(digit in doubted and i in alike for i, digit in enumerate(own))
    return right < _LEAST_RIGHT * seen


def _lines_with_most(words: Sequence[Word], doubted: Collection[str]) -> list[list[Word]]:
    lines: dict[int, list[Word]] = defaultdict(list)
    for word in words:
        lines[word.line].append(word)
    counts = {line: sum(c in doubted for word in members for c in word.text) for line, members in lines.items()}
    best = sorted((line for line in lines if counts[line]), key=lambda line: -counts[line])
    return [lines[line] for line in best[:_LINES]]


def _digits(texts: Iterable[str]) -> str:
    return re.sub(r"[^0-9]", "", "".join(texts))


def _alike(own: str, read: str) -> set[int]:
    """Return which places of `own` have the same digit in `read`, where one may have more or fewer digits."""
    if len(own) == len(read):
        return {i for i, (a, b) in enumerate(zip(own, read, strict=True)) if a == b}
    blocks = SequenceMatcher(None, own, read, autojunk=False).get_matching_blocks()
    return {block.a + i for block in blocks for i in range(block.size)}


def _cut(pixels: Pixels, boxes: Sequence[Box]) -> Pixels:
    height, width = pixels.shape[:2]
    left, top = min(box[0] for box in boxes) * width, min(box[1] for box in boxes) * height
    right, bottom = max(box[2] for box in boxes) * width, max(box[3] for box in boxes) * height
    cut = pixels[max(0, int(top) - 3) : int(bottom) + 4, max(0, int(left) - 3) : int(right) + 4]
    around = [(_MARGIN, _MARGIN), (_MARGIN, _MARGIN), *([(0, 0)] if cut.ndim == 3 else [])]
    return np.pad(cut, around, constant_values=255)
