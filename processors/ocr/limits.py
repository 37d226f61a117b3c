"""What a document may cost, and how it is to be read: plain values that travel to the child processes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The most pages of a document and the most pixels of one image, as supplied."""

    max_pages: int = 500
    max_pixels: int = 120_000_000


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read: the engine's name, and the time limit in seconds of one of its passes."""

    engine: str = "tesseract"
    engine_timeout_s: float = 60.0
