"""Which replicas live, by their touches in Redis: what one of them has under way is not given up while it does."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from streams import redis_keys
from streams.quota.quotas import LIFE_MS, SILENCE_MS
from streams.redis_client import REDIS_FAILURES

HEADER = "replica"
"""The header of a `chat.requests` record that names the replica which serves the call."""

LONGEST_CALL_MS = 24 * 3_600_000
"""A call that is open for longer is given up, whoever serves it."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Those in touch at one moment; None while nobody can tell, since Redis was away or emptied."""

    alive: frozenset[str] | None

    def may_have(self, replica: str, since_ms: float, now_ms: float) -> bool:
        """Tell whether a replica may still be at work on what it began at a time; "" stands for one without a name."""
        if not replica or now_ms - since_ms > LONGEST_CALL_MS:
            return False
        return self.alive is None or replica in self.alive


async def replicas(redis: Redis) -> Replicas:
    """Return which replicas are in touch now."""
    try:
        seconds, micros = await redis.time()
        state = await cast("Awaitable[dict[bytes, bytes]]", redis.hgetall(redis_keys.QUOTA_STATE))
    except REDIS_FAILURES:
        return Replicas(None)
    now_ms = seconds * 1000 + micros // 1000
    born_ms, seen_ms = (int(state.get(name, 0)) for name in (b"born", b"seen"))
    if now_ms - born_ms < LIFE_MS or now_ms - seen_ms > SILENCE_MS:
        return Replicas(None)
    prefix = b"replica:"
    found = (name for name, until in state.items() if name.startswith(prefix) and int(until) > now_ms)
    return Replicas(frozenset(name.removeprefix(prefix).decode() for name in found))
