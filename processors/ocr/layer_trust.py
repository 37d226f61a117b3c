"""Whether a PDF's text layer says what the page shows."""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.page_source import Picture, Pixels
from processors.ocr.pdf_text import Layer
from schemas.pages import Box

MAX_BROKEN_SHARE = 0.1
"""A layer in which more letters than that have no Unicode value is given up as a whole."""

MIN_INK_SHARE = 0.3
"""Text whose boxes hold less of the page's ink than that is a caption on a picture, not the page's text."""

FULL_PAGE_SHARE = 0.6
_SAMPLE_STEP = 2


def is_trustworthy(layer: Layer, picture: Picture) -> bool:
    """Tell whether the layer's words may stand for the page.

    Not so when it has no letters, many without Unicode, invisible ones over a full-page image (somebody
    else's OCR), or when an image or drawing holds most of the ink.
    """
    letters = [letter for letter in layer.letters if not letter.space]
    if not letters or layer.broken > MAX_BROKEN_SHARE * (len(letters) + layer.broken):
        return False
    covered = max((_area(box) for box in layer.images), default=0.0)
    if layer.hidden and covered >= FULL_PAGE_SHARE:
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


def _area(box: Box) -> float:
    x0, y0, x1, y1 = (min(1.0, max(0.0, value)) for value in box)
    return (x1 - x0) * (y1 - y0)
