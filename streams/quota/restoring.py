"""Adds again what Redis has lost of the reservations of open jobs, from the table of jobs.

Who reserved adds again what it holds (see `quotas`), but it may be gone: an ingress that was started anew holds
nothing of the jobs that it accepted before. So a worker of job-state looks through its partitions whenever the
counters were born anew, after the replicas, whose figures are the better ones: the table knows a job's inputs and
steps, and not the options of its caller. What is there already is left as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from schemas.errors import Outage
from schemas.job_state import JobState, Submission
from schemas.quota_estimates import job_estimate
from schemas.quotas import Ask
from schemas.usage_report import ledger_day
from streams import redis_keys
from streams.logs import get_logger, places_of
from streams.metering.price_file import BudgetPrices
from streams.quota.quotas import JOB_MS, LIFE_MS, counters_of
from streams.quota.reservations import Reservation, entry_of
from streams.quota.scripts import ADD_OPEN
from streams.redis_client import REDIS_FAILURES
from streams.redis_keys import NOTHING_FOLDED, Offsets
from streams.services import Services
from streams.tables.log_ends import LogEnds

log = get_logger(__name__)

AFTER_MS = 1_500
"""So long after the counters' birth the replicas have added theirs: they are in touch every 0.4 s."""

_EVERY_S = 0.5
_AT_ONCE = 200
_REPLICA = "log"


class Jobs(Protocol):
    """The table of jobs of this process."""

    def keys(self, partition: int, /) -> tuple[bytes, ...]:
        """Return the keys of a partition."""
        ...

    def peek(self, key: bytes, /) -> JobState | None:
        """Return a state."""
        ...


class Restorer:
    """Restores the partitions held here; `folded` tells which these are, and how far each is."""

    def __init__(
        self,
        redis: Redis,
        jobs: Jobs,
        folded: Callable[[], Mapping[int, Offsets]],
        ends: LogEnds,
        services: Services,
        prices: BudgetPrices,
    ) -> None:
        self._redis, self._jobs, self._folded, self._ends = redis, jobs, folded, ends
        self._services, self._prices = services, prices
        self._add = redis.register_script(ADD_OPEN)
        self._through: dict[tuple[int, bytes], int] = {}

    async def run(self) -> None:
        """Look twice a second, until cancelled, through outages."""
        while True:
            try:
                with suppress(*REDIS_FAILURES, Outage):
                    await self.turn()
            except Exception as e:  # a fault of ours in one turn must not be the end of all to come
                log.error("quota.not_restored", error=type(e).__name__, places=places_of(e))
            await asyncio.sleep(_EVERY_S)

    async def turn(self) -> int:
        """Look once; returns how many reservations were added. Raises what the Redis client raises, or Outage."""
        state = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(redis_keys.QUOTA_STATE))
        born = state.get(b"born")
        folded = {p: at for p, at in self._folded().items() if at != NOTHING_FOLDED}
        due = sorted(p for p in folded if state.get(_mark(p).encode()) != born)
        if born is None or not due or await self._now_ms() < int(born) + AFTER_MS:
            return 0
        await self._note_ends(due, born)
        added = 0
        for partition in due:
            if folded[partition].events >= self._through[partition, born]:
                added += await self._restore(partition)
                await self._redis.hset(redis_keys.QUOTA_STATE, _mark(partition), born.decode())
        if added:
            log.info("quota.restored", reservations=added)
        return added

    async def _note_ends(self, due: list[int], born: bytes) -> None:
        """Note how far the log was when these counters were first seen: the table may be behind it."""
        self._through = {about: at for about, at in self._through.items() if about[1] == born}
        if new := [p for p in due if (p, born) not in self._through]:
            ends = await self._ends.all_ends(new)
            self._through.update({(p, born): ends[p].events for p in new})

    async def _restore(self, partition: int) -> int:
        if not any(a.quotas.limited for s in self._services.all() for a in (s.allowance, *s.keys.values())):
            return 0
        open_jobs, added, more = self._open_jobs(partition), 0, False
        while step := list(islice(open_jobs, _AT_ONCE)):
            if more:  # more than the counters' first seconds are enough for: they are no figures before the end
                until = await self._now_ms() + LIFE_MS // 2
                await self._redis.hset(redis_keys.QUOTA_STATE, "restoring", str(until))
            async with self._redis.pipeline(transaction=False) as pipe:
                found = [held for held in step if held is not None]
                for held in found:
                    entry = entry_of(held, _REPLICA)
                    args: list[str | int] = [held.ask.request_id, entry, "", 0, _REPLICA, held.ask.key_id]
                    await self._add(keys=counters_of(held.ask), args=args, client=pipe)
                added += sum(cast("list[int]", await cast("Awaitable[Any]", pipe.execute())))
            more = more or bool(found)
            await asyncio.sleep(0)
        return added

    def _open_jobs(self, partition: int) -> Iterator[Reservation | None]:
        """Yield what each job of a partition has reserved; None for one that has ended, or for which nothing holds."""
        for key in self._jobs.keys(partition):
            state = self._jobs.peek(key)
            yield None if state is None or state.purged_at_ms else self._reservation(state.current)

    def _reservation(self, submission: Submission) -> Reservation | None:
        job = submission.job
        settings = self._services.get(job.service)
        limited = any(allowance.quotas.limited for allowance in settings.allowances(job.key_id))
        if not limited or submission.terminal is not None or submission.accepted_offset < 0:
            return None
        day = ledger_day(job.created_at_ms)
        estimate = job_estimate(submission.inputs, submission.steps, "", self._prices.now(), day).bounded()
        ask = Ask(job.job_id, job.service, job.key_id, job.module, estimate)
        return Reservation(ask, 0, job.created_at_ms + JOB_MS)

    async def _now_ms(self) -> int:
        seconds, micros = await self._redis.time()
        return seconds * 1000 + micros // 1000


def _mark(partition: int) -> str:
    """Return the field of the counters' state that tells for which birth a partition's jobs are in them."""
    return f"jobs:{partition}"
