"""The sheet of paper in a photo: its four corners against whatever it lies on."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.geometry import Matrix
from processors.ocr.page_source import Pixels

Corners = npt.NDArray[np.float32]
"""Four points (x, y), clockwise from the top left."""

MIN_SHEET_SHARE = 0.25
MAX_SHEET_SHARE = 0.985
MIN_CONTRAST = 22.0
"""Grey levels (or their like in colour) between the sheet's rim and what lies around it."""

_LONG_SIDE = 700
_MIN_FIT = 0.955
_LEVELS = 7


@dataclass(frozen=True, slots=True)
class Sheet:
    """A flat view of the sheet; `to_photo` takes its pixels back to the photo's."""

    pixels: Pixels
    to_photo: Matrix


def flatten(photo: Pixels) -> Sheet | None:
    """Return the sheet seen from above, about as large as in the photo; None when no sheet stands out."""
    corners = find_corners(photo)
    if corners is None:
        return None
    top, right, bottom, left = (float(np.linalg.norm(corners[(i + 1) % 4] - corners[i])) for i in range(4))
    width, height = round(max(top, bottom)), round(max(left, right))
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    to_flat = cv2.getPerspectiveTransform(corners, flat)
    pixels = cv2.warpPerspective(
        photo, to_flat, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return Sheet(cast("Pixels", pixels), np.linalg.inv(to_flat).astype(np.float64))


def find_corners(photo: Pixels) -> Corners | None:
    """Return the sheet's corners in the photo, or None when nothing like a sheet stands out clearly."""
    factor = min(1.0, _LONG_SIDE / max(photo.shape[:2]))
    small = cast("Pixels", cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    best: Corners | None = None
    best_fit = _MIN_FIT
    for plane in _planes(small):
        low, high = (float(value) for value in np.percentile(plane, [2, 90]))
        if high - low < MIN_CONTRAST:
            continue
        for level in np.linspace(low, high, _LEVELS + 2)[1:-1]:
            found = _sheet_at(plane, float(level))
            if found is not None and found[1] > best_fit and _stands_out(plane, found[0]):
                best, best_fit = found
    return None if best is None else (best / factor).astype(np.float32)


def _planes(small: Pixels) -> list[Pixels]:
    """Return grey pictures in which paper is light: brightness, and lack of colour where there is colour."""
    blurred = cv2.medianBlur(small, 7)
    if blurred.ndim == 2:
        return [cast("Pixels", blurred)]
    saturation = cv2.cvtColor(blurred, cv2.COLOR_RGB2HSV)[..., 1]
    return [cast("Pixels", cv2.cvtColor(blurred, cv2.COLOR_RGB2GRAY)), cast("Pixels", 255 - saturation)]


def _sheet_at(plane: Pixels, level: float) -> tuple[Corners, float] | None:
    """Return the corners of the largest light shape, and how well four straight edges fit it (1 = exactly)."""
    light = (plane > level).astype(np.uint8)
    # Text, seals and tables are holes and bays of the sheet: they are closed, thin bridges to the outside opened.
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    light = cv2.morphologyEx(light, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    outlines, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    outline = max(outlines, key=cv2.contourArea)
    area = cv2.contourArea(outline)
    frame = plane.shape[0] * plane.shape[1]
    if not MIN_SHEET_SHARE * frame <= area <= MAX_SHEET_SHARE * frame:
        return None
    hull = cv2.convexHull(outline)
    corners = _four_corners(cast("npt.NDArray[np.int32]", hull))
    if corners is None:
        return None
    around = cv2.contourArea(corners)
    return corners, min(area, around) / max(area, around)


def _four_corners(hull: npt.NDArray[np.int32]) -> Corners | None:
    length = cv2.arcLength(hull, True)
    for tolerance in (0.01, 0.015, 0.02, 0.03, 0.04, 0.05):
        shape = cv2.approxPolyDP(hull, tolerance * length, True)
        if len(shape) == 4:
            corners = _clockwise(shape.reshape(4, 2).astype(np.float32))
            return corners if _is_sheet_like(corners) else None
        if len(shape) < 4:
            return None
    return None


def _clockwise(points: Corners) -> Corners:
    centre = points.mean(axis=0)
    order = np.argsort(np.arctan2(points[:, 1] - centre[1], points[:, 0] - centre[0]))
    turned = points[order]
    first = int(np.argmin(turned.sum(axis=1)))
    return np.roll(turned, -first, axis=0).astype(np.float32)


def _is_sheet_like(corners: Corners) -> bool:
    """Whether the corners are those of a sheet seen from above or somewhat aslant: 60 to 120 degrees each."""
    for index in range(4):
        before = corners[index - 1] - corners[index]
        after = corners[(index + 1) % 4] - corners[index]
        cosine = float(before @ after) / (float(np.linalg.norm(before)) * float(np.linalg.norm(after)) + 1e-6)
        if abs(cosine) > 0.5:
            return False
    return True


def _stands_out(plane: Pixels, corners: Corners) -> bool:
    """Whether a strip inside the edges is clearly lighter than one outside."""
    inside = np.zeros(plane.shape, np.uint8)
    cv2.fillConvexPoly(inside, corners.astype(np.int32), 1)
    strip = np.ones((17, 17), np.uint8)
    outer = (cv2.dilate(inside, strip) > 0) & (inside == 0)
    inner = (inside > 0) & (cv2.erode(inside, strip) == 0)
    if not outer.any() or not inner.any():
        return False
    return float(np.median(plane[inner])) - float(np.median(plane[outer])) >= MIN_CONTRAST
