"""From a page as supplied to the grey picture that is read, with the way back for boxes."""

from dataclasses import dataclass
from typing import cast

import cv2

from processors.ocr import geometry
from processors.ocr.geometry import Matrix, PixelBox
from processors.ocr.page_source import Picture, Pixels
from processors.ocr.prepare import light, seal, sheet, skew

_PAPER = 255


@dataclass(frozen=True, slots=True)
class Prepared:
    """A grey picture to read; `to_page` takes its pixels to those of the page as supplied.

    `seals` are in pixels of this picture, `lean` is by how many degrees it was turned anti-clockwise.
    """

    pixels: Pixels
    dpi: float
    to_page: Matrix
    seals: tuple[PixelBox, ...] = ()
    lean: float = 0.0


def prepare(picture: Picture) -> Prepared:
    """Flatten a photo's sheet, even out its light, take out red seals and level the lines: each where needed."""
    pixels, to_page, dpi = picture.pixels, geometry.identity(), picture.dpi
    flat = sheet.flatten(pixels)
    if flat is not None:
        # The frame was taken for the sheet so far; now the sheet itself tells the resolution.
        dpi *= max(pixels.shape[:2]) / max(flat.pixels.shape[:2]) if flat.pixels.size else 1.0
        pixels, to_page = flat.pixels, flat.to_photo
    pixels = light.even_out(pixels)
    unsealed = seal.take_out(pixels, dpi)
    return levelled(Prepared(unsealed.pixels, dpi, to_page, unsealed.seals))


def levelled(page: Prepared) -> Prepared:
    """Return the page turned so that its lines are level, or the page itself when they are."""
    degrees = skew.lean(page.pixels)
    if degrees == 0.0:
        return page
    height, width = page.pixels.shape[:2]
    turn = geometry.rotation(width, height, degrees)
    pixels = cv2.warpAffine(page.pixels, turn[:2], (width, height), flags=cv2.INTER_CUBIC, borderValue=_PAPER)
    return Prepared(
        pixels=cast("Pixels", pixels),
        dpi=page.dpi,
        to_page=page.to_page @ geometry.inverse(turn),
        seals=tuple(geometry.map_box(turn, box) for box in page.seals),
        lean=page.lean + degrees,
    )
