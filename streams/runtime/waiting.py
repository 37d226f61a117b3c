"""Waiting until a stage can be served: the process stays up, says what is missing, looks again."""

import asyncio
import signal
from collections.abc import Callable
from typing import TypeVar

from schemas.errors import Outage
from streams.logs import get_logger
from streams.metrics_server import Health, start_metrics_server
from streams.serving import Lack, announcing
from streams.settings import Settings

log = get_logger(__name__)

T = TypeVar("T")

_LOOK_EVERY_S = 2.0


async def wait_until_usable(find: Callable[[], T], settings: Settings, stage: str) -> T | None:
    """Return what `find` returns as soon as it raises no Outage, or None when a signal asks to stop before.

    Until then the process shows `unavailable` with the reason on its metrics port, which is free again
    afterwards, and tells ingress by Redis that the stage of this kind cannot be served.
    """
    try:
        return find()
    except Outage as missing:
        lack = _lack(missing)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    health = Health()
    health.set_unavailable(_told(lack))
    log.warning("stage.unavailable", stage=stage, reason=_told(lack))
    server = start_metrics_server(settings.metrics_port, health, host=settings.metrics_host)
    try:
        async with announcing(settings, {stage: lambda: lack}):
            while not stop.is_set():
                try:
                    return find()
                except Outage as missing:
                    lack = _lack(missing)
                health.set_unavailable(_told(lack))
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


def _lack(missing: Outage) -> Lack:
    return Lack(missing.message, missing.remedy)


def _told(lack: Lack) -> str:
    return f"{lack.reason}; {lack.remedy}" if lack.remedy else lack.reason
