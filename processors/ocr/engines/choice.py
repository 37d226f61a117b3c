"""Which engine a name stands for."""

from processors.ocr.engines.base import Engine
from processors.ocr.engines.tesseract import Tesseract
from processors.ocr.limits import ReadOptions
from schemas.errors import InvalidInput

ENGINES = ("tesseract",)


def engine_for(options: ReadOptions) -> Engine:
    """Return the engine that the options name. Raises InvalidInput for a name that is none."""
    if options.engine == "tesseract":
        return Tesseract(options.engine_timeout_s)
    raise InvalidInput(
        f"there is no OCR engine {options.engine!r}",
        code="unknown_engine",
        remedy=f"use one of: {', '.join(ENGINES)}",
    )
