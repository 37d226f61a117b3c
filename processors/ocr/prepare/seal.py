"""Red seals: found as marks, and taken out of the letters that they cover; red that is text of its own stays.

A receipt stamp (접수인) or a line printed in red is to be read; a seal's letters only spoil what it covers.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.geometry import PixelBox
from processors.ocr.page_source import Pixels

RED_EXCESS = 36
"""How far red must exceed green and blue: below that lie brown paper, skin and JPEG's colour noise."""

_MIN_INCHES, _MAX_INCHES = 0.28, 1.9
_MIN_RED_SHARE = 0.08
_MAX_ASPECT = 1.6
_BRIDGE_INCHES = 0.07
_MAX_YELLOW = 0.3
_TEXT_ASPECT = 2.2
"""A red line of text is at least that many times as wide as high; the pieces of a seal's rim are thinner than text."""

_TEXT_INCHES = (0.09, 0.32)
_STAMP_HEIGHT = (0.32, 1.5)
_STAMP_WIDTH = (1.0, 2.8)


@dataclass(frozen=True, slots=True)
class Unsealed:
    """A grey picture without the seals' red, and where the seals are."""

    pixels: Pixels
    seals: tuple[PixelBox, ...]


def take_out(pixels: Pixels, dpi: float) -> Unsealed:
    """Return the picture in grey, red ink turned to paper where there is any.

    In the red channel a red seal is nearly as light as paper, and black letters under it stay dark.
    """
    if pixels.ndim == 2:
        return Unsealed(pixels, ())
    grey = cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    red = pixels[..., 0]
    mask = _red_mask(pixels)
    if not mask.any():
        return Unsealed(grey, ())
    shapes = _shapes(mask, dpi)
    seals = _seals(pixels, mask, shapes, dpi)
    for x, y, width, height in shapes:
        if _is_text(x, y, width, height, seals, dpi):
            mask[y : y + height, x : x + width] = 0
    touched = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
    cleaned = grey.copy()
    cleaned[touched] = np.maximum(grey, red)[touched]
    return Unsealed(cleaned, seals)


def find(pixels: Pixels, dpi: float) -> tuple[PixelBox, ...]:
    """Return where red seals are on a clean picture, such as a rendered page; none on one in grey.

    It is looked at in half its size: a seal is large, and a page with text needs nothing else of its picture.
    """
    if pixels.ndim == 2:
        return ()
    small = cast("Pixels", cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    mask = _red_mask(small)
    found = _seals(small, mask, _shapes(mask, dpi / 2), dpi / 2) if mask.any() else ()
    return tuple((2 * x0, 2 * y0, 2 * x1, 2 * y1) for x0, y0, x1, y1 in found)


def _red_mask(pixels: Pixels) -> Pixels:
    excess = cv2.subtract(pixels[..., 0], cv2.max(pixels[..., 1], pixels[..., 2]))
    return (excess > RED_EXCESS).astype(np.uint8)


def _shapes(mask: Pixels, dpi: float) -> list[tuple[int, int, int, int]]:
    """Return x, y, width and height of each red shape: strokes of one seal or line bridged, single pixels gone."""
    reach = max(3, round(_BRIDGE_INCHES * dpi))
    solid = cv2.medianBlur(mask * 255, 3)
    joined = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    return [(row[0], row[1], row[2], row[3]) for row in cast("npt.NDArray[np.int32]", stats)[1:count].tolist()]


def _is_text(x: int, y: int, width: int, height: int, seals: tuple[PixelBox, ...], dpi: float) -> bool:
    """Whether a red shape is a frame with text in it or a line of text, apart from every seal."""
    if any(x < right and left < x + width and y < bottom and top < y + height for left, top, right, bottom in seals):
        return False
    high, wide = height / dpi, width / dpi
    if _TEXT_INCHES[0] <= high < _TEXT_INCHES[1]:
        return wide >= _TEXT_ASPECT * high
    framed = _STAMP_HEIGHT[0] <= high <= _STAMP_HEIGHT[1] and _STAMP_WIDTH[0] <= wide <= _STAMP_WIDTH[1]
    return framed and wide > _MAX_ASPECT * high


def _seals(pixels: Pixels, mask: Pixels, shapes: list[tuple[int, int, int, int]], dpi: float) -> tuple[PixelBox, ...]:
    found: list[PixelBox] = []
    for x, y, width, height in shapes:
        inches = sorted((width / dpi, height / dpi))
        if inches[0] < _MIN_INCHES or inches[1] > _MAX_INCHES or inches[1] > _MAX_ASPECT * inches[0]:
            continue
        if float(mask[y : y + height, x : x + width].mean()) >= _MIN_RED_SHARE and _is_seal_red(
            pixels[y : y + height, x : x + width], mask[y : y + height, x : x + width]
        ):
            found.append((float(x), float(y), float(x + width), float(y + height)))
    # What lies within a seal (its inner rim, its letters) is no seal of its own.
    return tuple(box for box in found if not any(_holds(other, box) for other in found if other != box))


def _is_seal_red(area: Pixels, mask: Pixels) -> bool:
    """Whether the red is that of seal ink: orange and brown, as in logos, have far more green than blue."""
    red, green, blue = (float(value) for value in np.median(area[mask > 0], axis=0))
    return green - blue <= _MAX_YELLOW * (red - green)


def _holds(outer: PixelBox, inner: PixelBox) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]
