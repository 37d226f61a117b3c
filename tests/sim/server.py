"""Runs a simulator: reads the flags, listens, prints `{"port": …}` on stdout, serves until it is told to stop."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import orjson
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler

from tests.sim.config import SimConfig
from tests.sim.control import Control
from tests.sim.engine import Engine

_LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen, and whether the process ends with its starter."""

    port: int
    tethered: bool


def parsed(argv: Sequence[str], about: str, base: SimConfig) -> tuple[Listening, SimConfig]:
    """Read `--port`, `--tethered` and one flag for each setting (`--ttft-ms 200`)."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, see the line on stdout")
    parser.add_argument("--tethered", action="store_true", help="end when stdin is closed, as when the starter died")
    for field in fields(SimConfig):
        parser.add_argument(f"--{field.name.replace('_', '-')}", help=f"default {getattr(base, field.name)!s}")
    given = vars(parser.parse_args(argv))
    where = Listening(given.pop("port"), given.pop("tethered"))
    return where, base.changed({name: value for name, value in given.items() if value is not None})


HostRule = Callable[[str], bool]
"""Tells whether a server answers calls to this name of its own."""


def serve(
    where: Listening,
    engine: Engine,
    routes: Iterable[web.AbstractRouteDef],
    answers_to: HostRule = lambda _: True,
) -> None:
    """Serve until SIGTERM or SIGINT."""
    uvloop.run(_serve(where, engine, [*routes, *Control(engine).routes()], answers_to))


async def _serve(where: Listening, engine: Engine, routes: list[web.AbstractRouteDef], answers_to: HostRule) -> None:
    @web.middleware
    async def as_go_does(request: web.Request, handler: Handler) -> web.StreamResponse:
        foreign = engine.config.refuse_host and not request.path.startswith("/_sim/")
        if foreign or not answers_to(request.host):
            return web.Response(status=403)
        if engine.config.hang_health and request.path in _HEALTH:
            await asyncio.get_running_loop().create_future()
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _plain(404, "404 page not found")
        except web.HTTPMethodNotAllowed as e:
            refusal = _plain(405, "405 method not allowed")
            refusal.headers["Allow"] = ", ".join(sorted(e.allowed_methods))
            return refusal

    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[as_go_does])
    app.add_routes(routes)
    # A caller who leaves cancels the handler: generation stops at once.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", where.port, backlog=4096)
    await site.start()
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    if where.tethered:
        await asyncio.get_running_loop().connect_read_pipe(lambda: _Tether(stop), sys.stdin)
    print(orjson.dumps({"port": runner.addresses[0][1]}).decode(), flush=True)
    await stop.wait()
    await runner.cleanup()


class _Tether(asyncio.Protocol):
    """Stops the server when the other end of stdin is gone, even if its owner was killed."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of stdin."""
        self._stop.set()


_HEALTH = frozenset({"/", "/api/version", "/api/tags", "/api/ps", "/v1/models"})


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=text.encode(), headers={"Content-Type": "text/plain"})


def arguments() -> list[str]:
    """Return this process's own arguments."""
    return sys.argv[1:]
