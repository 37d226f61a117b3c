"""Whether a PDF's text layer says what the page shows."""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.layer_language import is_language
from processors.ocr.page_source import Picture, Pixels
from processors.ocr.pdf_text import Layer
from schemas.pages import Box

MAX_BROKEN_SHARE = 0.1
"""A layer in which more letters than that have no Unicode value is given up as a whole."""

MIN_INK_SHARE = 0.3
"""Text whose boxes hold less of the page's ink than that is a caption on a picture, not the page's text."""

FULL_PAGE_SHARE = 0.6
MAX_BURIED_SHARE = 0.5
"""Of a page's runs of text, more than that under its images is a scan's layer; a logo may lie on a word."""

_GRID = 200
_SAMPLE_STEP = 2


def is_trustworthy(layer: Layer, picture: Picture) -> bool:
    """Tell whether the layer's words may stand for the page.

    Not so when it has no letters, many without Unicode, invisible ones over a full-page image or most of them below it
    (somebody else's OCR), letters of which no language is made, or when an image or drawing holds most of the ink.
    """
    letters = [letter for letter in layer.letters if not letter.space]
    if not letters or layer.broken > MAX_BROKEN_SHARE * (len(letters) + layer.broken):
        return False
    unseen = layer.hidden > 0 or layer.buried > MAX_BURIED_SHARE * layer.runs
    if unseen and _covered(layer.images) >= FULL_PAGE_SHARE:
        return False
    if not is_language("".join(letter.text for letter in letters)):
        return False
    return ink_share(picture.pixels, [letter.box for letter in letters]) >= MIN_INK_SHARE


def ink_share(pixels: Pixels, boxes: list[Box]) -> float:
    """Return which share of the picture's ink lies within the boxes; 1 for a page without ink."""
    # Reading every second pixel leaves the share as it is and costs a quarter.
    sample = pixels[::_SAMPLE_STEP, ::_SAMPLE_STEP]
    grey = cast("Pixels", cv2.cvtColor(sample, cv2.COLOR_RGB2GRAY)) if sample.ndim == 3 else sample
    ink: npt.NDArray[np.bool_] = grey < 160
    total = int(ink.sum())
    if total == 0:
        return 1.0
    height, width = ink.shape
    mask = np.zeros((height, width), dtype=np.bool_)
    for x0, y0, x1, y1 in boxes:
        left, top = max(0, int(x0 * width) - 1), max(0, int(y0 * height) - 1)
        mask[top : int(y1 * height) + 2, left : int(x1 * width) + 2] = True
    return int((ink & mask).sum()) / total


def _covered(boxes: Sequence[Box]) -> float:
    """Return which share of the page images cover together: scanners store a page in strips at times."""
    mask = np.zeros((_GRID, _GRID), dtype=np.bool_)
    for box in boxes:
        x0, y0, x1, y1 = (round(min(1.0, max(0.0, value)) * _GRID) for value in box)
        mask[y0:y1, x0:x1] = True
    return float(mask.mean())
