"""Red seals: found as marks, and taken out of the letters that they cover."""

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
    touched = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
    cleaned = grey.copy()
    cleaned[touched] = np.maximum(grey, red)[touched]
    return Unsealed(cleaned, _seals(pixels, mask, dpi))


def find(pixels: Pixels, dpi: float) -> tuple[PixelBox, ...]:
    """Return where red seals are on a clean picture, such as a rendered page; none on one in grey.

    It is looked at in half its size: a seal is large, and a page with text needs nothing else of its picture.
    """
    if pixels.ndim == 2:
        return ()
    small = cast("Pixels", cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    mask = _red_mask(small)
    found = _seals(small, mask, dpi / 2) if mask.any() else ()
    return tuple((2 * x0, 2 * y0, 2 * x1, 2 * y1) for x0, y0, x1, y1 in found)


def _red_mask(pixels: Pixels) -> Pixels:
    excess = cv2.subtract(pixels[..., 0], cv2.max(pixels[..., 1], pixels[..., 2]))
    return (excess > RED_EXCESS).astype(np.uint8)


def _seals(pixels: Pixels, mask: Pixels, dpi: float) -> tuple[PixelBox, ...]:
    reach = max(3, round(_BRIDGE_INCHES * dpi))
    # Strokes of one seal are bridged into one shape; single red pixels go.
    solid = cv2.medianBlur(mask * 255, 3)
    joined = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    found: list[PixelBox] = []
    for row in cast("npt.NDArray[np.int32]", stats)[1:count].tolist():
        x, y, width, height = row[0], row[1], row[2], row[3]
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
