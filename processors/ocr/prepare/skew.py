"""How far the lines of a page lean, from the sharpness of their profile."""

import math
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.page_source import Pixels

MAX_DEGREES = 6.0
MIN_DEGREES = 0.12
"""Leaning less than that is not worth the blur of turning."""

_LONG_SIDE = 1000
_COARSE, _FINE = 0.5, 0.1

Points = npt.NDArray[np.float32]
"""Where there is ink: a row of x, a row of y, in pixels."""


def lean(grey: Pixels) -> float:
    """Return by how many degrees to turn the picture anti-clockwise so that its lines are level; 0 when unsure."""
    points = _ink(grey)
    if not points.size:
        return 0.0
    coarse = np.arange(-MAX_DEGREES, MAX_DEGREES + 0.01, _COARSE)
    sharpness = [_sharpness(points, float(angle)) for angle in coarse]
    best = int(np.argmax(sharpness))
    # A page without lines of text has no peak: then any turn would be a guess.
    if best in (0, len(coarse) - 1) or sharpness[best] < 1.15 * float(np.median(sharpness)):
        return 0.0
    fine = np.arange(coarse[best] - _COARSE, coarse[best] + _COARSE + 0.01, _FINE)
    angle = float(max(fine, key=lambda value: _sharpness(points, float(value))))
    return angle if abs(angle) >= MIN_DEGREES else 0.0


def _ink(grey: Pixels) -> Points:
    factor = min(1.0, _LONG_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    dark = cv2.adaptiveThreshold(small, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 12)
    rows, columns = np.nonzero(cast("Pixels", dark))
    return np.stack((columns, rows)).astype(np.float32)


def _sharpness(points: Points, degrees: float) -> float:
    """Return how sharply rows of ink part from white when turned; only the points' heights are turned, not pixels."""
    angle = math.radians(degrees)
    heights = math.cos(angle) * points[1] - math.sin(angle) * points[0]
    heights -= heights.min()
    below = heights.astype(np.int64)
    # A point between two rows counts for both, by its nearness: whole rows alone would ripple.
    share = heights - below
    profile = np.bincount(below + 1, share, below.max() + 2)
    profile[:-1] += np.bincount(below, 1 - share, below.max() + 1)
    return float((np.diff(profile) ** 2).sum())
