"""Which engine a name stands for."""

from functools import lru_cache
from typing import TYPE_CHECKING

from processors.ocr.engines.base import Engine
from processors.ocr.engines.paddle_models import PaddleModels
from processors.ocr.engines.tesseract import Tesseract
from processors.ocr.limits import ReadOptions
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from processors.ocr.engines.paddle import Paddle

TESSERACT, PADDLE = "tesseract", "paddle"
ENGINES = (TESSERACT, PADDLE)


def engine_for(options: ReadOptions) -> Engine:
    """Return the engine that the options name. Raises InvalidInput for a name that is none, Outage for what is missing.

    Paddle's exists in processes of its own environment only.
    """
    if options.engine == TESSERACT:
        return _tesseract(options.engine_timeout_s)
    if options.engine == PADDLE and options.paddle is not None:
        return _paddle(options.paddle)
    raise InvalidInput(
        f"there is no OCR engine {options.engine!r}",
        code="unknown_engine",
        remedy=f"use one of: {', '.join(ENGINES)}",
    )


@lru_cache(maxsize=1)
def _tesseract(timeout_s: float) -> Tesseract:
    return Tesseract(timeout_s)


@lru_cache(maxsize=1)
def _paddle(models: PaddleModels) -> "Paddle":
    from processors.ocr.engines.paddle import Paddle

    return Paddle(models)
