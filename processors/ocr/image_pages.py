"""Image files as pages: headers are checked before anything is decoded, then pixels are bounded."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from processors.ocr.limits import Limits
from processors.ocr.page_source import Picture
from schemas.errors import InvalidInput
from schemas.pages import Word

READING_DPI = 200.0
"""Enough for the engines, and what every figure of ours was measured at."""

A4_LONG_INCHES = 11.69
_LARGEST_FACTOR = 1.35
"""Images up to that much finer than the reading resolution are left alone: scaling would only blur them."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)
"""What Pillow's decoders raise for damaged files."""


class ImageFile:
    """An image file; TIFF may hold several pages."""

    def __init__(self, path: Path, name: str, media_type: str, limits: Limits, pages_left: int) -> None:
        self._path = path
        self._name = name
        self._limits = limits
        # Pillow's own guard is fixed and warns where ours refuses: ours is a setting, checked on every header.
        Image.MAX_IMAGE_PIXELS = None
        if media_type == "image/heic":
            pillow_heif.register_heif_opener(thumbnails=False)
        self._frames = self._count(media_type, pages_left)

    @property
    def page_count(self) -> int:
        """How many pages the file has."""
        return self._frames

    def page(self, index: int) -> "ImagePage":
        """Return the page at `index`, counted from 0."""
        return ImagePage(self, index)

    def open(self, index: int) -> Image.Image:
        """Return the frame at `index` with its header read and checked, its pixels not yet decoded."""
        try:
            image = Image.open(self._path)
            image.seek(index)
        except (UnidentifiedImageError, *_BROKEN) as error:
            raise self.damaged() from error
        if image.width * image.height > self._limits.max_pixels:
            raise self._too_large(image.width, image.height)
        return image

    def damaged(self) -> InvalidInput:
        """Build the error for an image that cannot be decoded."""
        return InvalidInput(
            f"{self._name} is damaged or cut short: its pixels cannot be decoded",
            code="image_damaged",
            remedy="open the image in a viewer and save it again, or scan the page again",
        )

    def _count(self, media_type: str, pages_left: int) -> int:
        with self.open(0):
            pass
        if media_type != "image/tiff":
            return 1
        # One more than allowed is enough to know; a file of a million frames is not walked to its end.
        with self.open(0) as image:
            count = 1
            while count <= pages_left:
                try:
                    image.seek(count)
                except EOFError:
                    break
                except _BROKEN as error:
                    raise self.damaged() from error
                if image.width * image.height > self._limits.max_pixels:
                    raise self._too_large(image.width, image.height)
                count += 1
            return count

    def _too_large(self, width: int, height: int) -> InvalidInput:
        return InvalidInput(
            f"{self._name} is an image of {width} x {height} pixels; "
            f"at most {self._limits.max_pixels // 1_000_000} megapixels are read",
            code="image_too_large",
            remedy="scan at a lower resolution, or raise GATEWAY_MAX_MEGAPIXELS",
        )


class ImagePage:
    """One frame of an image file."""

    def __init__(self, file: ImageFile, index: int) -> None:
        self._file = file
        self._index = index

    def picture(self) -> Picture:
        """Decode the image, turned as its EXIF says and shrunk to reading size when it is much finer."""
        with self._file.open(self._index) as image:
            dpi = effective_dpi(image.width, image.height, _stated_dpi(image))
            scale = READING_DPI / dpi if dpi > READING_DPI * _LARGEST_FACTOR else 1.0
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            try:
                if scale < 1.0:
                    # Decodes JPEG at a half, a quarter or an eighth where that is still fine enough.
                    image.draft(None, size)
                image.load()
                upright = ImageOps.exif_transpose(image)
                flat = _flat(upright)
            except _BROKEN as error:
                raise self._file.damaged() from error
        if scale < 1.0:
            target = size if (flat.width >= flat.height) == (size[0] >= size[1]) else (size[1], size[0])
            flat = flat.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
        return Picture(np.asarray(flat), dpi * scale)

    def text_words(self, picture: Picture | None) -> tuple[Word, ...] | None:
        """Return None: an image holds no text of its own."""
        del picture
        return None

    def doubtful_digits(self, picture: Picture) -> frozenset[str]:
        """Return none: an image holds no words."""
        del picture
        return frozenset()


def effective_dpi(width: int, height: int, stated: float | None) -> float:
    """Return the resolution to reckon with.

    The stated one counts when the sheet is then between A6 and A3; cameras state 72 for anything, so
    else the long side is taken for that of an A4 sheet.
    """
    longest = max(width, height)
    if stated and 5.5 <= longest / stated <= 17.5:
        return stated
    return longest / A4_LONG_INCHES


def _stated_dpi(image: Image.Image) -> float | None:
    stated = image.info.get("dpi")
    try:
        value = float(stated[1]) if stated else 0.0
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return value if value > 0 else None


def _flat(image: Image.Image) -> Image.Image:
    """Return the image as grey or RGB on white; 16-bit grey is brought to 8."""
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float32)
        top = float(values.max()) if values.size else 0.0
        ceiling = 65535.0 if top > 255 else 255.0
        return Image.fromarray((values * (255.0 / ceiling)).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layered).convert("RGB")
    return image.convert("RGB")
