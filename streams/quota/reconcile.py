"""Closes reservations that nothing else closed.

Those that were settled while Redis was away, that expired, of jobs that ended unused, and of jobs that never came
to be.
"""

import time
from collections.abc import Awaitable, Collection, Iterable
from typing import Any, NamedTuple, cast

import orjson
from redis.asyncio import Redis

from schemas.events import TERMINAL
from streams import redis_keys
from streams.admission.checks import KEY_ID
from streams.metering.orphans import HeldLedger
from streams.quota.quotas import CALL_MS, JOB_MS
from streams.quota.replicas import Replicas, replicas
from streams.quota.scripts import SETTLE
from streams.tables.job_reader import JobReader, Missing
from streams.tables.log_ends import LogEnds
from streams.tables.partitions import job_partition

UNKNOWN_MS = 10 * 60_000
"""After so long a job that REST reserved for is on the log, or never will be: its publication takes seconds."""

GONE_MS = 15_000
"""A replica that was not in touch for so long is gone: its calls have ended with it."""

_LOOKED_AT = 500
_ASKED_AT_ONCE = 20  # jobs without a view: each may cost half a second while views are behind


class Reconciler:
    """Looks at some reservations of each service a turn.

    A job that ended is closed once the ledger has folded all that was on its log when the end was seen, for the
    job's usage may be on its way; `ends` tells where that log ends, `jobs` which jobs there are.
    """

    def __init__(self, redis: Redis, ledger: HeldLedger, ends: LogEnds, jobs: JobReader) -> None:
        self._redis, self._ledger, self._ends, self._jobs = redis, ledger, ends, jobs
        self._take_out = redis.register_script(SETTLE)
        self._cursors: dict[str, int] = {}
        self._ended: dict[str, dict[str, int]] = {}
        self._gone_since: dict[str, float] = {}

    async def turn(self, services: Iterable[str]) -> int:
        """Look once; returns how many were closed. Raises what the Redis client raises, Outage when the log is down."""
        alive = await replicas(self._redis)
        return sum([await self._turn(service, alive) for service in services])

    async def _turn(self, service: str, alive: Replicas) -> int:
        name = redis_keys.quota_open(service)
        answer = await cast(
            "Awaitable[tuple[int, dict[bytes, bytes]]]",
            self._redis.hscan(name, self._cursors.get(service, 0), count=_LOOKED_AT),
        )
        self._cursors[service], found = answer
        mine = {raw.decode(): _entry(entry) for raw, entry in found.items()}
        mine = {r: entry for r, entry in mine.items() if self._ledger.settled(r) is not None}
        now_ms = time.time() * 1000
        gone = self._surely_gone({entry.replica for entry in mine.values()}, alive, now_ms)
        due = {r for r, entry in mine.items() if self._ledger.settled(r) or entry.is_over(now_ms, alive)}
        due |= self._surely_unused(service)
        left = [r for r in mine if r not in due]
        ended, unseen = await self._looked_up(left)
        # What a call of a replica that is gone has used may be on its way as a job's may.
        ended += [r for r in unseen if mine[r].is_left_behind(now_ms, gone)]
        lost = [r for r in unseen if mine[r].came_to_nothing(now_ms)][:_ASKED_AT_ONCE]
        due |= {r for r in lost if isinstance(await self._jobs.get(r), Missing)}
        keys = [name, redis_keys.quota_sums(service), *[redis_keys.quota_minute(service, "")] * 2]
        for request_id in due:
            await self._take_out(keys=keys, args=[request_id, 0, 0, "", "", "", 0])
        await self._note_ended(service, ended)
        return len(due)

    def _surely_gone(self, named: Collection[str], alive: Replicas, now_ms: float) -> set[str]:
        """Return which of these replicas were not in touch for a while: one that stood still for seconds comes back."""
        if alive.alive is None:
            self._gone_since.clear()
            return set()
        for replica in alive.alive:
            self._gone_since.pop(replica, None)
        for replica in set(named) - alive.alive:
            self._gone_since.setdefault(replica, now_ms)
        return {replica for replica, since_ms in self._gone_since.items() if now_ms - since_ms >= GONE_MS}

    def _surely_unused(self, service: str) -> set[str]:
        """Return the ended jobs for which the ledger can have nothing more to come; they are noted no longer."""
        waiting, folded = self._ended.get(service, {}), self._ledger.folded()
        done = {r for r, end in waiting.items() if folded.get(job_partition(r), end) >= end}
        for request_id in done:
            del waiting[request_id]
        return {r for r in done if job_partition(r) in folded}

    async def _looked_up(self, ids: list[str]) -> tuple[list[str], list[str]]:
        """Return which of these jobs have ended, and which have no view."""
        if not ids:
            return [], []
        found = cast("list[bytes | None]", await self._redis.mget([redis_keys.job(r) for r in ids]))
        views = list(zip(ids, found, strict=True))
        ended = [r for r, view in views if view and _status(view) in TERMINAL]
        return ended, [r for r, view in views if not view]

    async def _note_ended(self, service: str, ended: Iterable[str]) -> None:
        noted = self._ended.setdefault(service, {})
        new = [r for r in ended if r not in noted]
        if new:
            ends = await self._ends.all_ends(sorted({job_partition(r) for r in new}))
            noted.update({r: ends[job_partition(r)].events for r in new})


class _Entry(NamedTuple):
    key_id: str
    expires_ms: float
    replica: str

    def is_over(self, now_ms: float, alive: Replicas) -> bool:
        """Tell whether it has had its time. A call may take longer, while the replica lives that serves it."""
        return self.expires_ms < now_ms and not alive.may_have(self.replica, self.expires_ms - CALL_MS, now_ms)

    def is_left_behind(self, now_ms: float, gone: Collection[str]) -> bool:
        """Tell whether it is of a call whose replica is gone; jobs go on without theirs."""
        return self.replica in gone and self.expires_ms - now_ms <= CALL_MS

    def came_to_nothing(self, now_ms: float) -> bool:
        """Tell whether it is of a job that should be on the log by now.

        Calls are on it before their work, and expire soon. A batch's jobs wait for their start as long as it takes.
        """
        left_ms = self.expires_ms - now_ms
        return self.key_id != KEY_ID and CALL_MS < left_ms < JOB_MS - UNKNOWN_MS


def _entry(raw: bytes) -> _Entry:
    parts = raw.split()
    return _Entry(parts[0].decode(), float(parts[6]), parts[7].decode()) if len(parts) > 7 else _Entry("", 0.0, "")


def _status(view: bytes) -> str:
    document: Any = orjson.loads(view)
    return str(document["document"]["status"])
