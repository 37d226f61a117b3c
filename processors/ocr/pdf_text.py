"""The text layer of a PDF page: its letters and their boxes, as they are."""

import ctypes
from dataclasses import dataclass

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from processors.ocr.geometry import Matrix
from schemas.pages import Box

_DEVICE = 1_000_000
"""Size of the imaginary device through which page units become fractions of the page."""

_OPAQUE = 240
"""Alpha (0 to 255) of a pixel that hides what is below it."""

_MOSTLY = 0.9
"""Share of such pixels in an image that hides it; the corners of a turned one are clear."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of the layer; a `space` has no ink, and its box only tells where it stands."""

    text: str
    box: Box
    space: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """A page's letters in the file's order, and the signs by which a layer is judged.

    `broken` counts letters without a usable Unicode value; `hidden` counts runs of text that are drawn invisibly, and
    `buried` of `runs` lie under an image; `images` are the boxes of the page's images.
    """

    letters: tuple[Letter, ...]
    broken: int
    hidden: int
    images: tuple[Box, ...]
    buried: int = 0
    runs: int = 0


def read_layer(page: pdfium.PdfPage) -> Layer:
    """Read the letters of a page; boxes are fractions of the page as it is shown, rotation included."""
    to_fractions = _page_matrix(page)
    textpage = page.get_textpage()
    raw = textpage.raw
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    letters: list[Letter] = []
    broken = 0
    for index in range(textpage.count_chars()):
        code = pdfium_c.FPDFText_GetUnicode(raw, index)
        if code in (0x0D, 0x0A, 0x20, 0xA0, 0x3000, 0x09) or pdfium_c.FPDFText_IsGenerated(raw, index) == 1:
            letters.append(Letter(" ", (0.0, 0.0, 0.0, 0.0), space=True))
            continue
        if not _is_usable(code) or pdfium_c.FPDFText_HasUnicodeMapError(raw, index) == 1:
            broken += 1
            continue
        if not pdfium_c.FPDFText_GetCharBox(raw, index, left, right, bottom, top):
            continue
        box = _map(to_fractions, left.value, bottom.value, right.value, top.value)
        if box[2] <= 0.0 or box[3] <= 0.0 or box[0] >= 1.0 or box[1] >= 1.0:
            continue  # beyond the edge of the page: nobody sees it
        letters.append(Letter(_text_of(code), box))
    textpage.close()
    return _with_objects(page, to_fractions, tuple(letters), broken)


def _with_objects(page: pdfium.PdfPage, to_fractions: Matrix, letters: tuple[Letter, ...], broken: int) -> Layer:
    """Add what the page's objects tell; they come in the order in which they are painted, so later images lie above."""
    images: list[Box] = []
    waiting: list[pdfium.PdfObject] = []
    texts: list[Box] = []
    runs = 0
    hidden = 0
    buried: set[int] = set()
    kinds = [pdfium_c.FPDF_PAGEOBJ_IMAGE, pdfium_c.FPDF_PAGEOBJ_TEXT]
    for item in page.get_objects(filter=kinds):
        if isinstance(item, pdfium.PdfImage):
            # Inside a form the bounds are the form's own units; such objects are rare and only make us careful.
            box = _map(to_fractions, *item.get_bounds())
            images.append(box)
            # Where runs of text stand takes a millisecond a page: pages without images do without.
            texts += [_map(to_fractions, *text.get_bounds()) for text in waiting]
            waiting = []
            below = {i for i, text in enumerate(texts) if i not in buried and _is_within(text, box)}
            if below and item.level == 0 and _is_opaque(item):
                buried |= below
        elif pdfium_c.FPDFTextObj_GetTextRenderMode(item.raw) == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE:
            hidden += 1
        else:
            waiting.append(item)
            runs += 1
    return Layer(letters, broken, hidden, tuple(images), len(buried), runs)


def _is_within(inner: Box, outer: Box) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _is_opaque(image: pdfium.PdfImage) -> bool:
    """Tell whether an image lets nothing through: a watermark or a seal above the text does."""
    if pdfium_c.FPDFPageObj_HasTransparency(image.raw):
        return False
    try:
        bitmap = image.get_bitmap(render=True, scale_to_original=False)
    except pdfium.PdfiumError:
        return False
    pixels = bitmap.to_numpy()  # a view: the bitmap has to live as long
    return pixels.ndim < 3 or pixels.shape[2] < 4 or float((pixels[..., 3] > _OPAQUE).mean()) > _MOSTLY


def _page_matrix(page: pdfium.PdfPage) -> Matrix:
    """Return the matrix from page units to fractions: found from three points, so crop and rotation are in it."""

    def place(x: float, y: float) -> tuple[float, float]:
        device_x, device_y = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(page.raw, 0, 0, _DEVICE, _DEVICE, 0, x, y, device_x, device_y)
        return device_x.value / _DEVICE, device_y.value / _DEVICE

    span = 1000.0
    (ox, oy), (xx, xy), (yx, yy) = place(0.0, 0.0), place(span, 0.0), place(0.0, span)
    return np.array(
        [[(xx - ox) / span, (yx - ox) / span, ox], [(xy - oy) / span, (yy - oy) / span, oy], [0, 0, 1]],
        dtype=np.float64,
    )


def _map(matrix: Matrix, x0: float, y0: float, x1: float, y1: float) -> Box:
    # Plain arithmetic: this runs for every letter, where an array operation would cost ten times as much.
    (a, b, c), (d, e, f) = _rows(matrix)
    ax, ay = a * x0 + b * y0 + c, d * x0 + e * y0 + f
    bx, by = a * x1 + b * y1 + c, d * x1 + e * y1 + f
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def _rows(matrix: Matrix) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    values = matrix.tolist()
    return (values[0][0], values[0][1], values[0][2]), (values[1][0], values[1][1], values[1][2])


def _is_usable(code: int) -> bool:
    return not (
        code < 0x20
        or 0x7F <= code < 0xA0
        or 0xD800 <= code <= 0xF8FF  # surrogates and private use
        or code >= 0xF0000
        or code in (0xFFFD, 0xFFFE, 0xFFFF)
    )


def _text_of(code: int) -> str:
    return "-" if code == 0x02 else chr(code)
