"""The `ocr` process: `python -m processors.ocr`, with its settings in the environment."""

import os

from processors.ocr.handler import build_processor
from streams.runtime.run import run
from streams.settings import Settings


def main() -> None:
    """Serve `ocr.requests` until SIGTERM."""
    settings = Settings.from_env(os.environ)
    run(build_processor(settings), settings=settings, name="ocr", preload=("processors.ocr.child",))


if __name__ == "__main__":
    main()
