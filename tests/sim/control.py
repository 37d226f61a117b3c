"""The simulator's control endpoints under /_sim, which answer whatever fault is set."""

from typing import Any

import orjson
from aiohttp import web

from tests.sim.counts import Counts
from tests.sim.engine import Engine


class Control:
    """`GET, POST /_sim/config` (changes as JSON), `GET /_sim/counts[?each=1]`, `POST /_sim/reset`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._at_start = engine.config

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes."""
        return [
            web.get("/_sim/config", self.config),
            web.post("/_sim/config", self.change),
            web.get("/_sim/counts", self.counts),
            web.post("/_sim/reset", self.reset),
        ]

    async def config(self, _: web.Request) -> web.Response:
        """Return the settings."""
        return _json(self._engine.config.as_json())

    async def change(self, request: web.Request) -> web.Response:
        """Change some settings; calls that run already keep the old ones."""
        changes: Any = orjson.loads(await request.read())
        unload = changes.pop("unload", False)
        try:
            self._engine.config = self._engine.config.changed(changes)
        except ValueError as e:
            return _json({"error": str(e)}, status=400)
        self._engine.reset_faults()
        if unload:
            self._engine.loaded.clear()
        return _json(self._engine.config.as_json())

    async def counts(self, request: web.Request) -> web.Response:
        """Return the account."""
        return _json(self._engine.counts.as_json(each="each" in request.query))

    async def reset(self, _: web.Request) -> web.Response:
        """Start anew: account, settings, nothing loaded. Calls that run keep their old account."""
        self._engine.counts = Counts()
        self._engine.config = self._at_start
        self._engine.reset_faults()
        self._engine.loaded.clear()
        return _json({})


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), headers={"Content-Type": "application/json"})
