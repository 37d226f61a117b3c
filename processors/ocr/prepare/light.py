"""Evening out the light of a photographed or yellowed page: each channel is divided by the paper's own."""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.page_source import Pixels

UNEVEN_RANGE = 24.0
"""Grey levels between a page's light and dark paper from which evening out pays; scans stay below."""

DARK_PAPER = 190.0
_TINT_RANGE = 18.0
_LONG_SIDE = 320
"""The paper is estimated at that size: letters vanish under the closing, shadows do not."""

_CLOSING = 15


def even_out(pixels: Pixels) -> Pixels:
    """Return the picture with white paper everywhere, or the picture itself when its paper is even and light."""
    paper = paper_of(pixels)
    if not _is_uneven(paper):
        return pixels
    height, width = pixels.shape[:2]
    full = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    return cast("Pixels", cv2.divide(pixels, full, scale=250))


def paper_of(pixels: Pixels) -> Pixels:
    """Return the colour of the paper at each place, small: a closing takes the letters away."""
    factor = _LONG_SIDE / max(pixels.shape[:2])
    size = (max(8, round(pixels.shape[1] * factor)), max(8, round(pixels.shape[0] * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((_CLOSING, _CLOSING), np.uint8))
    return np.maximum(cv2.GaussianBlur(closed, (0, 0), 7), 16).astype(np.uint8)


def _is_uneven(paper: Pixels) -> bool:
    channels: npt.NDArray[np.float32] = paper.reshape(-1, 1 if paper.ndim == 2 else 3).astype(np.float32)
    low, high = np.percentile(channels.mean(axis=1), [4, 96])
    middle = np.median(channels, axis=0)
    tint = float(middle.max() - middle.min())
    return bool(high - low > UNEVEN_RANGE or tint > _TINT_RANGE or float(middle.mean()) < DARK_PAPER)
