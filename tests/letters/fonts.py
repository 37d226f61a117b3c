"""The fonts that letters are set in: Debian's fonts-nanum, -nanum-extra, -unfonts-core, -baekmuk, -lexi-gulim,
-lexi-saebom, -liberation, -crosextra-carlito, -crosextra-caladea, -lato; those that are installed are used."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

_BASE = Path("/usr/share/fonts/truetype")
_MEASURE = 200


@dataclass(frozen=True, slots=True)
class Face:
    """A regular and a bold font file under one name."""

    name: str
    regular: Path
    bold: Path


_KOREAN = (
    Face("NanumGothic", _BASE / "nanum/NanumGothic.ttf", _BASE / "nanum/NanumGothicBold.ttf"),
    Face("NanumMyeongjo", _BASE / "nanum/NanumMyeongjo.ttf", _BASE / "nanum/NanumMyeongjoBold.ttf"),
    Face("NanumBarunGothic", _BASE / "nanum/NanumBarunGothic.ttf", _BASE / "nanum/NanumBarunGothicBold.ttf"),
    Face("NanumSquare", _BASE / "nanum/NanumSquareR.ttf", _BASE / "nanum/NanumSquareB.ttf"),
    Face("UnBatang", _BASE / "unfonts-core/UnBatang.ttf", _BASE / "unfonts-core/UnBatangBold.ttf"),
    Face("UnDotum", _BASE / "unfonts-core/UnDotum.ttf", _BASE / "unfonts-core/UnDotumBold.ttf"),
    Face("BaekmukBatang", _BASE / "baekmuk/batang.ttf", _BASE / "baekmuk/batang.ttf"),
    Face("BaekmukDotum", _BASE / "baekmuk/dotum.ttf", _BASE / "baekmuk/dotum.ttf"),
    Face("BaekmukGulim", _BASE / "baekmuk/gulim.ttf", _BASE / "baekmuk/gulim.ttf"),
    Face("UnGraphic", _BASE / "unfonts-core/UnGraphic.ttf", _BASE / "unfonts-core/UnGraphicBold.ttf"),
    Face("LexiGulim", _BASE / "lexi/LexiGulim.ttf", _BASE / "lexi/LexiGulim.ttf"),
    Face("LexiSaebom", _BASE / "lexi/LexiSaebomR.ttf", _BASE / "lexi/LexiSaebomR.ttf"),
    Face("NanumBarunpen", _BASE / "nanum/NanumBarunpenR.ttf", _BASE / "nanum/NanumBarunpenB.ttf"),
    Face("NanumSquareRound", _BASE / "nanum/NanumSquareRoundR.ttf", _BASE / "nanum/NanumSquareRoundB.ttf"),
)
_LATIN = (
    Face(
        "LiberationSerif",
        _BASE / "liberation/LiberationSerif-Regular.ttf",
        _BASE / "liberation/LiberationSerif-Bold.ttf",
    ),
    Face(
        "LiberationSans", _BASE / "liberation/LiberationSans-Regular.ttf", _BASE / "liberation/LiberationSans-Bold.ttf"
    ),
    Face("Carlito", _BASE / "crosextra/Carlito-Regular.ttf", _BASE / "crosextra/Carlito-Bold.ttf"),
    Face("Caladea", _BASE / "crosextra/Caladea-Regular.ttf", _BASE / "crosextra/Caladea-Bold.ttf"),
    Face("Lato", _BASE / "lato/Lato-Regular.ttf", _BASE / "lato/Lato-Bold.ttf"),
    Face("NanumGothic", _BASE / "nanum/NanumGothic.ttf", _BASE / "nanum/NanumGothicBold.ttf"),
)


@cache
def faces(latin: bool = False) -> tuple[Face, ...]:
    """Return the faces that are installed; at least NanumGothic must be."""
    found = tuple(face for face in (_LATIN if latin else _KOREAN) if face.regular.exists() and face.bold.exists())
    if not found:
        raise RuntimeError("no font for the letters: install fonts-nanum (apt-get install fonts-nanum)")
    return found


@cache
def registered(path: Path) -> str:
    """Register a font file with reportlab and return its name there."""
    name = path.stem
    pdfmetrics.registerFont(TTFont(name, str(path)))
    return name


def width(text: str, path: Path, size: float) -> float:
    """Return the advance width of a text in points."""
    return pdfmetrics.stringWidth(text, registered(path), size)


@cache
def _measure(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), _MEASURE)


def ink(text: str, path: Path, size: float) -> tuple[float, float, float, float]:
    """Return the ink box of a text set from (0, 0) on its base line, y downwards, in points."""
    left, top, right, bottom = _measure(path).getbbox(text, anchor="ls")
    scale = size / _MEASURE
    return left * scale, top * scale, right * scale, bottom * scale
