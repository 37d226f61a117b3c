"""Pages with Korean text, drawn for the tests."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_FONTS = Path("/usr/share/fonts/truetype/nanum")

LETTER = ("수신  갈숲시장", "제목  수요조사 안내", "시행  농촌활력과-512 (2025. 2. 24.)")


def letter_page(lines: Sequence[str] = LETTER, *, width: int = 900, height: int = 560, size: int = 30) -> Image.Image:
    """Draw lines of text from (80, 80) on, as a scan at 200 dpi would show 11 point type."""
    page = Image.new("RGB", (width, height), "white")
    font = ImageFont.truetype(str(_FONTS / "NanumGothic.ttf"), size)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw.text((80, 80 + number * 2 * size), line, fill="black", font=font)
    return page
