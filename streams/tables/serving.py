"""Runs a process with a table from the environment until a signal asks it to stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from streams.collector import settle_collector
from streams.logs import configure_logging, get_logger
from streams.metrics_server import Health, start_metrics_server
from streams.settings import Settings
from streams.spans import exporting
from streams.tasks import end_tasks

log = get_logger(__name__)

Run = Callable[[Settings, Health, asyncio.Event], Awaitable[str]]


def serve_table(name: str, run: Run) -> None:
    """Serve until SIGTERM or SIGINT, then exit: 0 when asked to stop, 1 when `run` says why it must be restarted."""
    settings = Settings.from_env(os.environ)
    configure_logging(settings.log_level, settings.called(name))
    settle_collector()
    # As the policy, so that the thread in which Faust keeps its consumer has a fast loop too.
    uvloop.install()
    sys.exit(asyncio.run(_serve(name, run, settings)))


async def unless_stopped(waiting: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Wait, but not longer than the process lives; tell whether the wait came to its end."""
    waited, stopped = asyncio.ensure_future(waiting), asyncio.ensure_future(stop.wait())
    await asyncio.wait((waited, stopped), return_when=asyncio.FIRST_COMPLETED)
    done = waited.done()
    await end_tasks(waited, stopped)
    return done


async def _serve(name: str, run: Run, settings: Settings) -> int:
    health, stop = Health(), asyncio.Event()
    server = start_metrics_server(settings.metrics_port, health, host=settings.metrics_host)
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    log.info(f"{name.replace('-', '_')}.starting", metrics_port=server.port)
    try:
        with exporting(settings, name):
            failure = await run(settings, health, stop)
    finally:
        server.close()
    return 1 if failure else 0
