"""Closes reservations that nothing else closed: settled while Redis was away, expired, or of jobs that ended unused."""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import orjson
from redis.asyncio import Redis

from schemas.events import TERMINAL
from streams import redis_keys
from streams.quota.scripts import SETTLE

_LOOKED_AT = 500


class Reconciler:
    """Looks at some reservations of each service a turn.

    `settled` tells of a request whether the ledger has counted it: None where another process has its partition.
    A job that ended is closed on the second look, for its usage may be on its way.
    """

    def __init__(self, redis: Redis, settled: Callable[[str], bool | None]) -> None:
        self._redis, self._settled = redis, settled
        self._take_out = redis.register_script(SETTLE)
        self._cursors: dict[str, int] = {}
        self._ended: dict[str, set[str]] = {}

    async def turn(self, services: Iterable[str]) -> int:
        """Look once; returns how many were closed. Raises what the Redis client raises."""
        return sum([await self._turn(service) for service in services])

    async def _turn(self, service: str) -> int:
        name = redis_keys.quota_open(service)
        answer = await cast(
            "Awaitable[tuple[int, dict[bytes, bytes]]]",
            self._redis.hscan(name, self._cursors.get(service, 0), count=_LOOKED_AT),
        )
        self._cursors[service], found = answer
        mine = {raw.decode(): entry for raw, entry in found.items() if self._settled(raw.decode()) is not None}
        ended = await self._ended_jobs([r for r in mine if not self._settled(r)])
        again = ended & self._ended.get(service, set())
        self._ended[service] = ended
        now_ms = time.time() * 1000
        due = [r for r, entry in mine.items() if self._settled(r) or r in again or _expires_ms(entry) < now_ms]
        keys = [name, redis_keys.quota_sums(service), *[redis_keys.quota_minute(service, "")] * 2]
        for request_id in due:
            await self._take_out(keys=keys, args=[request_id, 0, 0, "", "", "", 0])
        return len(due)

    async def _ended_jobs(self, ids: list[str]) -> set[str]:
        if not ids:
            return set()
        views = cast("list[bytes | None]", await self._redis.mget([redis_keys.job(r) for r in ids]))
        return {r for r, view in zip(ids, views, strict=True) if view and _status(view) in TERMINAL}


def _status(view: bytes) -> str:
    document: Any = orjson.loads(view)
    return str(document["document"]["status"])


def _expires_ms(entry: bytes) -> float:
    parts = entry.split()
    return float(parts[6]) if len(parts) > 6 else 0.0
