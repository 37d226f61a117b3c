"""Whether speech can be transcribed here: the extra `stt` and a model; and waiting until both are there."""

import asyncio
import importlib
import importlib.util
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from processors.stt.models import Model, find_model
from schemas.errors import Outage
from streams.logs import get_logger
from streams.metrics_server import Health, start_metrics_server
from streams.settings import Settings

log = get_logger(__name__)

_PACKAGES = ("faster_whisper", "ctranslate2", "av")
_LOOK_EVERY_S = 2.0


def not_installed(package: str) -> Outage:
    """Return the error for a package of the extra that is not there."""
    return Outage(
        f"the extra `stt` is not installed (no {package})",
        code="stt_not_installed",
        remedy="run ./gateway install stt",
    )


def usable_model(choice: str, folders: Sequence[Path]) -> Model:
    """Return the model to serve with. Nothing of the extra is imported.

    Raises Outage (`stt_not_installed`, `stt_model_missing`) with what is missing and what to do.
    """
    importlib.invalidate_caches()  # it may have been installed a moment ago
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise not_installed(package)
    return find_model(choice, folders)


async def wait_for_model(find: Callable[[], Model], settings: Settings) -> Model | None:
    """Return the model as soon as there is one, or None when a signal asks to stop before.

    Until then the process shows `unavailable` with the reason on its metrics port, which is free
    again afterwards.
    """
    try:
        return find()
    except Outage as missing:
        said = _told(missing)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    health = Health()
    health.set_unavailable(said)
    log.warning("stt.unavailable", reason=said)
    server = start_metrics_server(settings.metrics_port, health, host=settings.metrics_host)
    try:
        while not stop.is_set():
            try:
                return find()
            except Outage as missing:
                health.set_unavailable(_told(missing))
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                continue
        return None
    finally:
        await asyncio.to_thread(server.close)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _told(missing: Outage) -> str:
    return f"{missing.message}; {missing.remedy}" if missing.remedy else missing.message
