"""Where there is ink on a prepared page, table lines left out: what spaces and tight boxes are measured on."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from processors.ocr.geometry import PixelBox
from processors.ocr.page_source import Pixels

_RULE_INCHES = 0.45
"""A straight stroke longer than that is a table's line or an underline; the largest titles stay below."""

_WINDOW_INCHES = 0.3
_DARKER_THAN_PAPER = 30

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ink:
    """A page's ink as a mask."""

    mask: Mask

    def columns(self, top: float, bottom: float, left: float, right: float) -> tuple[Mask, int]:
        """Return which columns of an area hold ink, and the pixel column at which the area begins."""
        x0, x1 = max(0, int(left)), min(self.mask.shape[1], int(np.ceil(right)))
        y0, y1 = max(0, int(top)), min(self.mask.shape[0], int(np.ceil(bottom)))
        return cast("Mask", self.mask[y0:y1, x0:x1].any(axis=0)), x0

    def tighten(self, box: PixelBox) -> PixelBox:
        """Return the smallest box around the ink in `box`, or `box` itself where there is none."""
        x0, y0 = max(0, int(box[0])), max(0, int(box[1]))
        area = self.mask[y0 : int(np.ceil(box[3])), x0 : int(np.ceil(box[2]))]
        rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
        if not rows.size or not columns.size:
            return box
        return (
            float(x0 + columns[0]),
            float(y0 + rows[0]),
            float(x0 + columns[-1] + 1),
            float(y0 + rows[-1] + 1),
        )


def ink_of(grey: Pixels, dpi: float) -> Ink:
    """Find the ink of a prepared grey page: pixels darker than the paper around, without specks and rules."""
    window = max(15, round(_WINDOW_INCHES * dpi)) | 1
    dark = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, _DARKER_THAN_PAPER)
    length = max(20, round(_RULE_INCHES * dpi))
    rules = cv2.bitwise_or(
        cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((1, length), np.uint8)),
        cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((length, 1), np.uint8)),
    )
    letters = cv2.subtract(dark, cv2.dilate(rules, np.ones((3, 3), np.uint8)))
    # A single dark pixel is noise: it would close a gap between words.
    count, labels, stats, _ = cv2.connectedComponentsWithStats(letters, connectivity=8)
    keep = cast("npt.NDArray[np.int32]", stats)[:count, cv2.CC_STAT_AREA] >= max(3, round((dpi / 90) ** 2))
    keep[0] = False
    return Ink(keep[cast("npt.NDArray[np.int32]", labels)])
