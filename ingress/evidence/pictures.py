"""The pixels of the evidence page: our own stored page images, made smaller or drawn on.

These run in a thread. They open only PNG files that the OCR stage has encoded, never what a caller sent.
"""

import io
from collections.abc import Iterable

from PIL import Image, ImageDraw

from schemas.pages import Box

WIDEST = 1240
"""Pixels: 150 dpi of an A4 page, enough to check a reading by eye."""

MOST_PIXELS = 40_000_000
"""The OCR stage stores no page of more."""

_QUALITY = 70
_COLOUR = (214, 64, 16)
_TINT = 56
_MARGIN = 0.003


class UnusablePicture(ValueError):
    """What is stored as a page's picture is none that can be shown."""


def small_jpeg(png: bytes) -> bytes:
    """Return a page's picture as JPEG of at most `WIDEST` pixels a side's width. Raises UnusablePicture."""
    image = _open(png)
    if image.width > WIDEST:
        height = max(1, round(image.height * WIDEST / image.width))
        image = image.resize((WIDEST, height), Image.Resampling.BOX, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def highlighted(png: bytes, boxes: Iterable[Box]) -> bytes:
    """Return a page's picture in its full size with boxes drawn on it, as PNG. Raises UnusablePicture."""
    image = _open(png).convert("RGB")
    draw = ImageDraw.Draw(image, "RGBA")
    line = max(2, round(image.width / 500))
    for x0, y0, x1, y1 in boxes:
        frame = (
            (x0 - _MARGIN) * image.width,
            (y0 - _MARGIN) * image.height,
            (x1 + _MARGIN) * image.width,
            (y1 + _MARGIN) * image.height,
        )
        draw.rectangle(frame, fill=(*_COLOUR, _TINT), outline=(*_COLOUR, 255), width=line)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _open(png: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(png), formats=("PNG",))
        if image.width * image.height > MOST_PIXELS:
            raise UnusablePicture(f"{image.width} x {image.height} pixels are more than {MOST_PIXELS}")
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnusablePicture(f"a stored page picture cannot be read: {type(error).__name__}") from error
    return image if image.mode in ("L", "RGB") else image.convert("RGB")
