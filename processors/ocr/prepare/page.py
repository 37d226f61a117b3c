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
    flat, to_page = flattened(picture)
    unsealed = seal.take_out(light.even_out(flat.pixels), flat.dpi)
    return levelled(Prepared(unsealed.pixels, flat.dpi, to_page, unsealed.seals))


def flattened(picture: Picture) -> tuple[Picture, Matrix]:
    """Return the sheet in a photo seen from above and the way back to the photo; where none stands out, the picture."""
    flat = sheet.flatten(picture.pixels)
    if flat is None:
        return picture, geometry.identity()
    # The frame was taken for the sheet so far; now the sheet itself tells the resolution.
    factor = max(picture.pixels.shape[:2]) / max(flat.pixels.shape[:2]) if flat.pixels.size else 1.0
    return Picture(flat.pixels, picture.dpi * factor), flat.to_photo


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
