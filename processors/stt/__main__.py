"""The `stt` process: `python -m processors.stt`, with its settings in the environment."""

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from processors.stt.availability import usable_model
from processors.stt.handler import build_processor, child_count
from processors.stt.models import model_folders
from streams.logs import configure_logging
from streams.runtime.run import run
from streams.runtime.waiting import wait_until_usable
from streams.settings import Settings
from streams.storage.checkpoints import Checkpoints, open_checkpoints, sweeping


def main() -> None:
    """Wait for a model, then serve `stt.requests` until SIGTERM."""
    settings = Settings.from_env(os.environ)
    # As many child processes as there shall be models in memory, rather than one for each core.
    settings = replace(settings, workers=child_count(settings))
    configure_logging(settings.log_level, settings.called("stt"))
    find = partial(usable_model, settings.stt_model, model_folders(settings.data_dir, os.environ))
    model = asyncio.run(wait_until_usable(find, settings, "stt"))
    if model is not None:
        checkpoints = open_checkpoints(settings.blob_url)
        processor = build_processor(settings, model, checkpoints)
        prepare = partial(_sweep, checkpoints)
        run(processor, settings=settings, name="stt", preload=("processors.stt.child",), prepare=prepare)


async def _sweep(checkpoints: Checkpoints, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(sweeping(checkpoints))


if __name__ == "__main__":
    main()
