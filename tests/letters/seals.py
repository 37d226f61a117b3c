"""Seals and receipt stamps, drawn over the text as ink is."""

import math
import random

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.colors import Color
from reportlab.lib.utils import ImageReader

from tests.letters.sheet import PAGE_HEIGHT, Sheet

_RED = (212, 30, 38, 205)
_PIXELS = 320
_STAMP_COLOURS = (
    Color(0.1, 0.15, 0.6, alpha=0.85),
    Color(0.4, 0.12, 0.55, alpha=0.85),
    Color(0.75, 0.1, 0.12, alpha=0.85),
)


def square_seal(sheet: Sheet, x: float, y: float, letters: str, size: float) -> None:
    """Draw a square red seal with its centre at (x, y), as an image: an impression is no text."""
    picture = Image.new("RGBA", (_PIXELS, _PIXELS), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((6, 6, _PIXELS - 7, _PIXELS - 7), outline=_RED, width=14)
    side = max(2, math.ceil(math.sqrt(len(letters))))
    step = (_PIXELS - 40) / side
    font = ImageFont.truetype(str(sheet.face.bold), int(step * 0.9))
    for i, letter in enumerate(letters[: side * side]):
        column, row = side - 1 - i // side, i % side
        pen.text((20 + (column + 0.5) * step, 20 + (row + 0.5) * step), letter, fill=_RED, font=font, anchor="mm")
    _press(sheet, picture, x, y, size)


def round_seal(sheet: Sheet, x: float, y: float, letters: str, size: float) -> None:
    """Draw a round red seal with ring text."""
    picture = Image.new("RGBA", (_PIXELS, _PIXELS), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    middle = _PIXELS / 2
    pen.ellipse((6, 6, _PIXELS - 7, _PIXELS - 7), outline=_RED, width=10)
    inner = _PIXELS * 0.27
    pen.ellipse((middle - inner, middle - inner, middle + inner, middle + inner), outline=_RED, width=7)
    ring = ImageFont.truetype(str(sheet.face.regular), _PIXELS // 8)
    for i, letter in enumerate(letters[:10]):
        angle = 2 * math.pi * i / max(1, len(letters[:10]))
        place = (middle + math.sin(angle) * _PIXELS * 0.37, middle - math.cos(angle) * _PIXELS * 0.37)
        pen.text(place, letter, fill=_RED, font=ring, anchor="mm")
    core = ImageFont.truetype(str(sheet.face.bold), _PIXELS // 6)
    pen.text((middle, middle - _PIXELS * 0.1), "대표", fill=_RED, font=core, anchor="mm")
    pen.text((middle, middle + _PIXELS * 0.1), "이사", fill=_RED, font=core, anchor="mm")
    _press(sheet, picture, x, y, size)


def _press(sheet: Sheet, picture: Image.Image, x: float, y: float, size: float) -> None:
    turned = picture.rotate(sheet.rng.uniform(-5, 5), resample=Image.Resampling.BICUBIC)
    sheet.canvas.drawImage(ImageReader(turned), x - size / 2, PAGE_HEIGHT - y - size / 2, size, size, mask="auto")


def receipt_stamp(sheet: Sheet, number: str, written: str, unit: str, rng: random.Random) -> None:
    """Draw a receipt stamp in the upper right corner; its values are marked."""
    colour = rng.choice(_STAMP_COLOURS)
    x0, y0 = rng.uniform(395, 425), rng.uniform(28, 42)
    label_width, total, height = 46.0, 142.0, rng.uniform(20, 24)
    rows = (("접수번호", f"{{/receipt/number|{number}}}"), ("접수일시", written), ("처 리 과", unit))
    if rng.random() < 0.2:
        rows = rows[:2]
    size = rng.uniform(8.4, 9.6)
    for i, (label, value) in enumerate(rows):
        top = y0 + i * height
        sheet.frame(x0, top, x0 + label_width, top + height, colour=colour, thickness=0.9)
        sheet.frame(x0 + label_width, top, x0 + total, top + height, colour=colour, thickness=0.9)
        base = top + height / 2 + size * 0.35
        sheet.text(x0 + 5, label, size, colour=colour, y=base)
        gap = (total - label_width - sheet.measure(value, size)) / 2
        sheet.text(x0 + label_width + gap, value, size, colour=colour, y=base)
