"""What processors say they serve, and what ingress makes of it: a heartbeat a stage kind in one hash in Redis.

Nothing is lost with it: what is not known counts as available, a restarted or emptied Redis is told again within
seconds, and a stage that was ready a minute ago is not refused, so that a rolling restart refuses nobody.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

import orjson
from redis.asyncio import Redis

from schemas.errors import Outage
from streams import redis_keys
from streams.logs import get_logger
from streams.redis_client import REDIS_FAILURES, redis_client
from streams.settings import Settings
from streams.stages import unknown_stage
from streams.tasks import background, end_tasks

log = get_logger(__name__)

EVERY_S = 5.0
_LOOK_EVERY_S = 2.0
_LIFE_MS = 20_000
_KEY_LIFE_S = 600
GRACE_MS = 60_000
"""How long after it was last ready a stage still counts as available: a restart, a short outage of a model server."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a stage cannot be served, and what to do about it."""

    reason: str
    remedy: str


def lack_of(find: Callable[[], object]) -> Lack | None:
    """Return what `find` finds missing, None when it raises no Outage."""
    try:
        find()
    except Outage as missing:
        return Lack(missing.message, missing.remedy)
    return None


def unknown_lack(kinds: Iterable[str]) -> Lack | None:
    """Return what is missing when this process knows no topics of one of these stage kinds, None otherwise."""
    kind = unknown_stage(kinds)
    if kind is None:
        return None
    return Lack(
        f"no stage is called {kind!r} here",
        f"install the package that adds {kind} on every machine of the gateway, or take the module back: "
        "./gateway modules remove NAME",
    )


def absent_model(name: str) -> Lack:
    """Return what is missing when a module names a model that no model server has."""
    return Lack(
        f"it names the model {name!r}, which no model server has",
        "pull the model, name it in models.yml, or have the module's file name another (GET /v1/models lists them)",
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a module's option: a processor may lack what it needs and serve all others."""

    option: str
    value: str

    def of(self, kind: str) -> str:
        """Return what this choice of a stage kind is called beside the kinds."""
        return f"{kind}?{self.option}={self.value}"


@dataclass(frozen=True, slots=True)
class Serving:
    """What one process says of one stage kind, or of one choice of it; `lack` None when it serves.

    Times in ms, 0 for never.
    """

    kind: str
    lack: Lack | None
    ready_at_ms: int = 0
    expires_at_ms: int = 0


def lacking(kind: str, said: Iterable[Serving], ready_at_ms: int, now_ms: int) -> Lack | None:
    """Return why a kind is unavailable, None when it is available or nothing is known. Pure.

    `ready_at_ms` is when it was last seen ready by who asks.
    """
    live = [one for one in said if one.kind == kind and one.expires_at_ms > now_ms]
    if not live or any(one.lack is None for one in live):
        return None
    if now_ms - max(ready_at_ms, *(one.ready_at_ms for one in live)) < GRACE_MS:
        return None
    return live[0].lack


class Announcer:
    """Tells what this process serves while it is entered; `lacks` is asked each time, by kind or choice."""

    def __init__(self, redis: Redis, instance: str, lacks: Mapping[str, Callable[[], Lack | None]]) -> None:
        self._redis = redis
        self._instance = instance
        self._lacks = lacks
        self._ready_at = dict.fromkeys(lacks, 0)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = background(self._run(), "serving")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_tasks(self._task)
        with contextlib.suppress(*REDIS_FAILURES):
            await cast(Any, self._redis.hdel(redis_keys.SERVING, *map(self._field, self._lacks)))

    async def _run(self) -> None:
        while True:
            try:
                await cast(Any, self._redis.hset(redis_keys.SERVING, mapping=cast(Any, self._said(_now_ms()))))
                await self._redis.expire(redis_keys.SERVING, _KEY_LIFE_S)
            except REDIS_FAILURES as e:
                log.info("serving.not_told", error=type(e).__name__)
            await asyncio.sleep(EVERY_S)

    def _said(self, now_ms: int) -> dict[str, bytes]:
        said: dict[str, bytes] = {}
        for kind, ask in self._lacks.items():
            lack = ask()
            if lack is None:
                self._ready_at[kind] = now_ms
            said[self._field(kind)] = orjson.dumps(Serving(kind, lack, self._ready_at[kind], now_ms + _LIFE_MS))
        return said

    def _field(self, kind: str) -> str:
        return f"{kind}|{self._instance}"


@asynccontextmanager
async def announcing(settings: Settings, lacks: Mapping[str, Callable[[], Lack | None]]) -> AsyncGenerator[None]:
    """Tell what this process serves for the duration of the context."""
    redis = redis_client(settings.redis_url)
    try:
        async with Announcer(redis, f"{settings.called('gateway')}-{os.getpid()}", lacks):
            yield
    finally:
        await redis.aclose()


class ServingView:
    """What is said, in memory; enter it to follow. Looking up costs nothing."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._said: tuple[Serving, ...] = ()
        self._ready_at: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = background(self._run(), "serving-view")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_tasks(self._task)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The stage kinds that something is said of, sorted."""
        return tuple(sorted({one.kind for one in self._said if "?" not in one.kind}))

    def choices(self, kinds: Iterable[str]) -> dict[Choice, Lack | None]:
        """Return the choices of these kinds that something is said of, each with why it is unavailable now."""
        wanted = frozenset(kinds)
        found: dict[Choice, Lack | None] = {}
        for name in sorted({one.kind for one in self._said}):
            kind, mark, choice = name.partition("?")
            if mark and kind in wanted:
                option, _, value = choice.partition("=")
                found[Choice(option, value)] = self.lacking([name])
        return found

    def lacking(self, kinds: Iterable[str]) -> Lack | None:
        """Return why the first of these kinds that is unavailable is so."""
        now_ms = _now_ms()
        found = (lacking(kind, self._said, self._ready_at.get(kind, 0), now_ms) for kind in kinds)
        return next((lack for lack in found if lack is not None), None)

    async def look(self) -> None:
        """Read what is said now; what was said before stands, until it expires, while Redis is away."""
        try:
            raw = cast(dict[bytes, bytes], await cast(Any, self._redis.hgetall(redis_keys.SERVING)))
        except REDIS_FAILURES:
            return
        self._said = tuple(one for value in raw.values() if (one := _read(value)) is not None)
        now_ms = _now_ms()
        self._ready_at |= {s.kind: now_ms for s in self._said if s.lack is None and s.expires_at_ms > now_ms}

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_EVERY_S)


def _read(raw: bytes) -> Serving | None:
    try:
        body = cast(dict[str, Any], orjson.loads(raw))
        lack = Lack(**body["lack"]) if body["lack"] else None
        return Serving(str(body["kind"]), lack, int(body["ready_at_ms"]), int(body["expires_at_ms"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None  # a newer replica's; unknown is available


def as_document(lack: Lack | None) -> dict[str, Any]:
    """Return availability as `GET /v1/modules` tells it."""
    return {"available": lack is None, **(asdict(lack) if lack else {"reason": None, "remedy": None})}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
