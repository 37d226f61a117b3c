"""How far the lines of a page lean, from the sharpness of their profile."""

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


def lean(grey: Pixels) -> float:
    """Return by how many degrees to turn the picture anti-clockwise so that its lines are level; 0 when unsure."""
    ink = _ink(grey)
    if not ink.any():
        return 0.0
    coarse = np.arange(-MAX_DEGREES, MAX_DEGREES + 0.01, _COARSE)
    sharpness = [_sharpness(ink, float(angle)) for angle in coarse]
    best = int(np.argmax(sharpness))
    # A page without lines of text has no peak: then any turn would be a guess.
    if best in (0, len(coarse) - 1) or sharpness[best] < 1.15 * float(np.median(sharpness)):
        return 0.0
    fine = np.arange(coarse[best] - _COARSE, coarse[best] + _COARSE + 0.01, _FINE)
    angle = float(max(fine, key=lambda value: _sharpness(ink, float(value))))
    return angle if abs(angle) >= MIN_DEGREES else 0.0


def _ink(grey: Pixels) -> npt.NDArray[np.float32]:
    factor = min(1.0, _LONG_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    dark = cv2.adaptiveThreshold(small, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 12)
    return cast("npt.NDArray[np.float32]", dark.astype(np.float32))


def _sharpness(ink: npt.NDArray[np.float32], degrees: float) -> float:
    height, width = ink.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    profile = cv2.warpAffine(ink, turn, (width, height)).sum(axis=1)
    return float((np.diff(profile) ** 2).sum())
