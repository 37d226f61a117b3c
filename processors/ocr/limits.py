"""What a document may cost, and how it is to be read: plain values that travel to the child processes."""

from dataclasses import dataclass

from processors.ocr.engines.paddle_models import PaddleModels


@dataclass(frozen=True, slots=True)
class Limits:
    """The most pages of a document and the most pixels of one image, as supplied."""

    max_pages: int = 500
    max_pixels: int = 120_000_000


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read: the engine's name, the time limit in seconds of one of its passes, and what Paddle has to load."""

    engine: str = "tesseract"
    engine_timeout_s: float = 60.0
    paddle: PaddleModels | None = None
