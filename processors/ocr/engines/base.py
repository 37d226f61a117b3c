"""What an OCR engine is asked, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from processors.ocr.geometry import PixelBox
from processors.ocr.page_source import Pixels


class Layout(Enum):
    """What the engine is told about the picture: a page of text lines, one block, or one line."""

    PAGE = "page"
    BLOCK = "block"
    LINE = "line"


class Script(Enum):
    """What a line is written in, as far as that is known before it is read again."""

    KOREAN = "korean"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class EngineWord:
    """A word as an engine found it; box in pixels of the picture it was given, confidence 0 to 1.

    `weakest` is the confidence of its least sure piece, where it was put together from several.
    """

    text: str
    box: PixelBox
    confidence: float
    line: int
    block: int = 0
    weakest: float = 1.0


class Engine(Protocol):
    """An OCR engine. One instance works on one picture at a time."""

    @property
    def name(self) -> str:
        """Engine, version and languages, as results name them."""
        ...

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        """Read a grey or RGB picture.

        Raises Transient when the engine fails or exceeds its time, Outage when it is not installed.
        """
        ...

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        """Read several pages, each with its dpi, as `read` does: at once, if the engine can."""
        ...

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        """Read pictures of one line each, told what they are written in; words in their pictures' pixels."""
        ...
