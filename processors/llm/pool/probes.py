"""Asks each upstream now and then which models it has and has loaded, and whether anything answers at all."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

from processors.llm.backends import Backend
from processors.llm.errors import CallRefused, UpstreamFailed
from processors.llm.pool.health import Seen
from processors.llm.pool.models import Upstream
from processors.llm.protocols.values import Dialect, Json
from streams.tasks import background, end_tasks

OLLAMA_INTERVAL_S = 1.0
OPENAI_INTERVAL_S = 15.0
"""Others' servers count requests; their health shows in real calls."""

TIMEOUT_S = 1.0


def interval_s(upstream: Upstream) -> float:
    """Return how often an upstream is asked."""
    return OLLAMA_INTERVAL_S if upstream.kind is Dialect.OLLAMA else OPENAI_INTERVAL_S


async def probe(backend: Backend, upstream: Upstream) -> Seen:
    """Ask an upstream once. Never raises for what an upstream does."""
    try:
        if upstream.kind is Dialect.OLLAMA:
            tags = await backend.get(upstream, "/api/tags", TIMEOUT_S)
            loaded = await backend.get(upstream, "/api/ps", TIMEOUT_S)
            return Seen(True, model_names(tags), model_names(loaded))
        # Names differ too much between servers (aliases, deployments) to tell from a list that a model is not there.
        await backend.get(upstream, "/models", TIMEOUT_S)
        return Seen(True)
    except CallRefused:
        return Seen(True)
    except UpstreamFailed as e:
        # Anything that answers at all is not lost: a server may well have no list of models.
        answered = bool(e.status) or e.code not in ("upstream_unreachable", "upstream_hung", "upstream_failed")
        return Seen(answered, refused=e.code == "upstream_unreachable")


class Probes:
    """The task that probes all upstreams until `close`."""

    def __init__(self, backend: Backend, upstreams: Iterable[Upstream], told: Callable[[Upstream, Seen], None]) -> None:
        self._backend = backend
        self._upstreams = tuple(upstreams)
        self._told = told
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Probe each upstream once, so that its models are known, and go on doing so."""
        await asyncio.gather(*(self._once(upstream) for upstream in self._upstreams))
        self._tasks = [
            background(self._forever(upstream), f"probes of {upstream.name}") for upstream in self._upstreams
        ]

    async def close(self) -> None:
        """End the probing."""
        await end_tasks(*self._tasks)

    async def _forever(self, upstream: Upstream) -> None:
        while True:
            await asyncio.sleep(interval_s(upstream))
            seen = await self._once(upstream)
            if not seen.answered and not seen.refused:
                # A second opinion at once: two lost probes take the upstream out.
                await self._once(upstream)

    async def _once(self, upstream: Upstream) -> Seen:
        seen = await probe(self._backend, upstream)
        self._told(upstream, seen)
        return seen


def model_names(body: Json) -> frozenset[str] | None:
    """Return the names in an Ollama's list of models; None when it is no list."""
    entries: Any = body.get("models") or []
    if not isinstance(entries, list):
        return None
    named = [cast(Json, entry).get("name") for entry in cast(list[Any], entries) if isinstance(entry, dict)]
    return frozenset(name for name in named if isinstance(name, str))
