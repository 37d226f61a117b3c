"""The `stt` process with windows of 10 s, to be killed: `python -m tests.integration.stt.short_windows`."""

import os
from dataclasses import replace

from processors.stt.handler import SttHandler, build_processor, child_count
from processors.stt.models import find_model
from processors.stt.windows import WindowRule
from streams.runtime.run import run
from streams.settings import Settings
from streams.storage.checkpoints import open_checkpoints


def main() -> None:
    """Serve until killed."""
    settings = Settings.from_env(os.environ)
    settings = replace(settings, workers=child_count(settings))
    processor = build_processor(settings, find_model(settings.stt_model, ()), open_checkpoints(settings.blob_url))
    assert isinstance(processor.handle, SttHandler)
    short = WindowRule(length_s=10.0, near_s=3.0, search_s=6.0, overlap_s=1.0)
    run(replace(processor, handle=replace(processor.handle, rule=short)), settings=settings, name="stt")


if __name__ == "__main__":
    main()
