"""What the pool does, as metrics."""

import asyncio

from processors.llm.pool.pool import Pool
from schemas.events import Lane
from streams.metrics import (
    UPSTREAM_ATTEMPTS,
    UPSTREAM_FIRST_TOKEN_SECONDS,
    UPSTREAM_IN_USE,
    UPSTREAM_SLOTS,
    UPSTREAM_USABLE,
    UPSTREAM_WAIT_SECONDS,
    UPSTREAM_WAITING,
)

_EVERY_S = 1.0
_ANSWERED = "answered"


class PoolMetrics:
    """A Watch that counts."""

    def waited(self, lane: str, seconds: float) -> None:
        """Take note of a call that got its slot."""
        UPSTREAM_WAIT_SECONDS.labels(lane).observe(seconds)

    def attempted(self, upstream: str, outcome: str, seconds: float) -> None:
        """Take note of an attempt."""
        UPSTREAM_ATTEMPTS.labels(upstream, outcome).inc()
        kind = outcome if outcome == _ANSWERED else "failed"
        UPSTREAM_FIRST_TOKEN_SECONDS.labels(upstream, kind).observe(seconds)


async def follow(pool: Pool) -> None:
    """Keep the gauges as the pool stands, until cancelled."""
    while True:
        for state in pool.states():
            UPSTREAM_IN_USE.labels(state.name).set(state.outstanding)
            UPSTREAM_SLOTS.labels(state.name).set(state.limit)
            UPSTREAM_USABLE.labels(state.name).set(state.usable)
        for lane in (Lane.INTERACTIVE, Lane.BULK):
            UPSTREAM_WAITING.labels(lane).set(pool.waiting(interactive=lane is Lane.INTERACTIVE))
        await asyncio.sleep(_EVERY_S)
