"""The `ocr` process: `python -m processors.ocr`, with its settings in the environment."""

import asyncio
import os
from functools import partial

from processors.ocr.engines.choice import PADDLE
from processors.ocr.engines.paddle_models import places_of, usable_models
from processors.ocr.handler import build_processor
from streams.logs import configure_logging
from streams.runtime.run import run
from streams.runtime.waiting import wait_until_usable
from streams.settings import Settings


def main() -> None:
    """Wait for the engine of the settings, then serve `ocr.requests` until SIGTERM."""
    settings = Settings.from_env(os.environ)
    configure_logging(settings.log_level, settings.called("ocr"))
    if settings.ocr_engine == PADDLE:
        find = partial(usable_models, places_of(settings))
        if asyncio.run(wait_until_usable(find, settings, "ocr")) is None:
            return
    run(build_processor(settings), settings=settings, name="ocr", preload=("processors.ocr.child",))


if __name__ == "__main__":
    main()
