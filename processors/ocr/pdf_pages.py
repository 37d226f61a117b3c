"""PDF files as pages: the text layer where it can be trusted, and a rendering of bounded size."""

import math
import re
from pathlib import Path
from typing import cast

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from processors.ocr.glyph_shapes import doubtful_digits
from processors.ocr.image_pages import READING_DPI
from processors.ocr.layer_trust import is_trustworthy
from processors.ocr.limits import Limits
from processors.ocr.page_source import Picture
from processors.ocr.pdf_text import Layer, read_layer
from processors.ocr.text_lines import reading_turns, words_of
from schemas.errors import InvalidInput
from schemas.pages import Word

MAX_RENDER_PIXELS = 16_000_000
"""A2 at reading resolution; larger sheets (or absurd media boxes) are rendered coarser."""

_MAX_SIDE = 12_000
_POINTS_PER_INCH = 72.0
_TAIL_BYTES = 16 * 1024
_LOOK_BYTES = 256 * 1024
_NO_PAGES = re.compile(rb"/Kids\s*\[\s*\]\s*/Count\s+0\b|/Count\s+0\s*/Kids\s*\[\s*\]")
_PASSWORD_CODES = (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY)


class PdfFile:
    """A PDF file. PDFium is not thread-safe: a process works on it from one thread only."""

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        if not _has_end_mark(path):
            raise _damaged(name, "ends before its end mark")
        self._document: pdfium.PdfDocument | None = None
        self._count = 0
        try:
            self._document = pdfium.PdfDocument(path)
        except pdfium.PdfiumError as error:
            # PDFium does not open a file without pages, and has no error of its own for it.
            if _says_no_pages(path):
                return
            if error.err_code in _PASSWORD_CODES:
                raise InvalidInput(
                    f"{name} is protected by a password",
                    code="pdf_encrypted",
                    remedy="save the PDF without a password and send it again",
                ) from error
            raise _damaged(name, "cannot be opened") from error
        count = len(self._document)
        if count > limits.max_pages:
            raise InvalidInput(
                f"{name} has {count} pages; at most {limits.max_pages} are read",
                code="too_many_pages",
                remedy="split the document, or raise GATEWAY_MAX_PAGES",
            )
        self._count = count

    @property
    def page_count(self) -> int:
        """How many pages the file has."""
        return self._count

    def page(self, index: int) -> "PdfPage":
        """Return the page at `index`, counted from 0."""
        if self._document is None:
            raise IndexError(index)
        try:
            return PdfPage(self._document[index], self._name, self._limits)
        except pdfium.PdfiumError as error:
            raise _damaged(self._name, f"has no readable page {index + 1}") from error


class PdfPage:
    """One page of a PDF."""

    def __init__(self, page: pdfium.PdfPage, name: str, limits: Limits) -> None:
        self._page = page
        self._name = name
        self._limits = limits
        self._read: Layer | None = None

    def picture(self) -> Picture:
        """Render the page with its rotation, at reading resolution where its size allows."""
        self._check_images()
        width, height = self._page.get_size()
        scale = render_scale(width, height)
        try:
            # The library's own default, 1, makes its type an int to the checker.
            bitmap = self._page.render(scale=cast("int", scale), rev_byteorder=True)
        except pdfium.PdfiumError as error:
            raise _damaged(self._name, "has a page that cannot be rendered") from error
        pixels = np.ascontiguousarray(bitmap.to_numpy()[..., :3])
        bitmap.close()
        return Picture(pixels, scale * _POINTS_PER_INCH)

    def text_words(self, picture: Picture | None) -> tuple[Word, ...] | None:
        """Return the text layer's words, or None when the layer is empty, broken or belied by the picture."""
        layer = self._layer()
        if picture is None or not is_trustworthy(layer, picture):
            return None
        return words_of(layer.letters, reading_turns(layer.letters))

    def doubtful_digits(self, picture: Picture) -> frozenset[str]:
        """Return the digits of the text layer which the picture shows to be others."""
        return doubtful_digits(self._layer().letters, picture)

    def _layer(self) -> Layer:
        if self._read is None:
            self._read = read_layer(self._page)
        return self._read

    def _check_images(self) -> None:
        # An image inside a PDF can be a bomb as well as one beside it.
        for item in self._page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE]):
            if not isinstance(item, pdfium.PdfImage):
                continue
            width, height = item.get_px_size()
            if width * height > self._limits.max_pixels:
                raise InvalidInput(
                    f"{self._name} holds an image of {width} x {height} pixels; "
                    f"at most {self._limits.max_pixels // 1_000_000} megapixels are read",
                    code="image_too_large",
                    remedy="scan at a lower resolution, or raise GATEWAY_MAX_MEGAPIXELS",
                )


def render_scale(width: float, height: float) -> float:
    """Return pixels per point for a page of that size in points, so that no rendering exceeds the bounds."""
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        return 1.0
    wanted = READING_DPI / _POINTS_PER_INCH
    return min(wanted, math.sqrt(MAX_RENDER_PIXELS / (width * height)), _MAX_SIDE / max(width, height))


def _has_end_mark(path: Path) -> bool:
    """Whether the file's end is there; PDFium would repair a file that is cut short, and lose what was behind."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL_BYTES))
        tail = stream.read()
    return b"%%EOF" in tail or b"startxref" in tail


def _says_no_pages(path: Path) -> bool:
    with path.open("rb") as stream:
        return _NO_PAGES.search(stream.read(_LOOK_BYTES)) is not None


def _damaged(name: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"{name} is damaged: it {what}",
        code="pdf_damaged",
        remedy="open the PDF in a viewer and save or print it to a new PDF, or ask the sender for it again",
    )
