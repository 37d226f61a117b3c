"""Reads the rows of the usage report from Redis, with how complete they are."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from typing import cast

import numpy as np
from redis.asyncio import Redis

from schemas.errors import Outage
from schemas.topics import JOB_PARTITIONS
from schemas.usage_query import UsageQuery
from schemas.usage_rows import LEDGER_OFFSET_MS, WIDTH, Amounts, RowId
from streams import redis_keys
from streams.metering.log_times import LogTimes
from streams.metering.rows import BY_DAY, BY_HOUR, read_rows
from streams.metering.spent import LEVEL as SUMS
from streams.metering.spent import SumAmounts, SumId, read_sum
from streams.redis_client import REDIS_FAILURES
from streams.redis_keys import NOTHING_FOLDED, decode_marker
from streams.tables.log_ends import LogEnds

_LEDGER_OFFSET = timedelta(milliseconds=LEDGER_OFFSET_MS)
_FRESH_MS = 5_000
_NO_ROWS = np.empty((0, WIDTH), dtype=np.int64)

Hashes = Sequence[tuple[str, Mapping[bytes, bytes]]]

_Numbers1 = np.ndarray[tuple[int], np.dtype[np.int64]]
_Numbers2 = np.ndarray[tuple[int, int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class UsageFound:
    """The rows of a period, by hour or by day of the ledger's zone, all partitions together.

    `folded` holds for each partition the offset in `usage.events` up to which the rows are made;
    everything that was logged before `complete_through_ms` is in them.
    """

    rows: Mapping[RowId, Amounts]
    folded: tuple[int, ...]
    complete_through_ms: int


@dataclass(frozen=True, slots=True)
class UsageUnknown:
    """The rows cannot be had now; `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class EverythingFound:
    """All that is shown of a period at one moment: rows of both levels, and the sums that quotas count of its months.

    A sum that is no sum is in none of them; `folded` is as in UsageFound.
    """

    hours: Mapping[RowId, Amounts]
    days: Mapping[RowId, Amounts]
    sums: Mapping[SumId, SumAmounts]
    folded: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What stands in Redis at one moment: hashes by level, and for each partition its offset and the log's time."""

    hashes: Mapping[str, Hashes]
    folded: tuple[int, ...]
    logged: Sequence[bytes | None]


class UsageReader:
    """Answers from the rows. Never raises for what Redis or Kafka do: it answers UsageUnknown."""

    def __init__(
        self, redis: Redis, log_ends: LogEnds, times: LogTimes, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._redis = redis
        self._log_ends = log_ends
        self._times = times
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)

    async def read(self, query: UsageQuery) -> UsageFound | UsageUnknown:
        """Return the rows of a query's period and service."""
        level = BY_DAY if query.by_day else BY_HOUR
        shown = await self._shown(query, (level,))
        if isinstance(shown, UsageUnknown):
            return shown
        rows = _merged(shown.hashes[level], query)
        return UsageFound(rows, shown.folded, await self._complete_through(shown.folded, shown.logged))

    async def read_all(self, query: UsageQuery) -> EverythingFound | UsageUnknown:
        """Return everything that is shown of a query's period, to be proved rather than reported."""
        shown = await self._shown(query, (BY_HOUR, BY_DAY, SUMS))
        if isinstance(shown, UsageUnknown):
            return shown
        hours, days = (_merged(shown.hashes[level], query) for level in (BY_HOUR, BY_DAY))
        return EverythingFound(hours, days, _sums(shown.hashes[SUMS]), shown.folded)

    async def _shown(self, query: UsageQuery, levels: Sequence[str]) -> _Shown | UsageUnknown:
        try:
            names = await self._names(query, levels)
            markers, logged, hashes = await self._snapshot(names)
        except REDIS_FAILURES:
            return UsageUnknown("Redis does not answer")
        found = [decode_marker(raw) for raw in markers]
        folded = tuple(m.folded.events for m in found if m is not None and m.folded != NOTHING_FOLDED)
        if len(folded) < JOB_PARTITIONS:
            return UsageUnknown("the usage rows are being rebuilt")
        by_level = {level: [(n, fields) for n, fields in hashes if n.split(":")[1] == level] for level in levels}
        return _Shown(by_level, folded, logged)

    async def _names(self, query: UsageQuery, levels: Sequence[str]) -> list[str]:
        """Return the names of the hashes that may hold something of the period."""
        buckets = [(level, bucket) for level in levels for bucket in _buckets(query, level)]
        if query.service is not None:
            return [f"{p}:{level}:{query.service}:{b}" for p in range(JOB_PARTITIONS) for level, b in buckets]
        wanted = set(buckets)
        async with self._redis.pipeline(transaction=False) as pipe:
            for p in range(JOB_PARTITIONS):
                pipe.smembers(redis_keys.usage_index(p))
            indices = cast("list[set[bytes]]", await pipe.execute())
        names = [name.decode() for index in indices for name in index]
        # The log's time stands in a hash that has no bucket.
        return [n for n in names if len(parts := n.split(":")) == 4 and (parts[1], parts[3]) in wanted]

    async def _snapshot(self, names: Sequence[str]) -> tuple[list[bytes | None], list[bytes | None], Hashes]:
        # One transaction: rows of a moment, with the markers of the same moment.
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.mget([redis_keys.usage_marker(p) for p in range(JOB_PARTITIONS)])
            for p in range(JOB_PARTITIONS):
                pipe.hget(redis_keys.usage_rows(f"{p}:t"), "")
            for name in names:
                pipe.hgetall(redis_keys.usage_rows(name))
            answers = await cast("Awaitable[list[object]]", pipe.execute())
        markers = cast("list[bytes | None]", answers[0])
        logged = cast("list[bytes | None]", answers[1 : 1 + JOB_PARTITIONS])
        hashes = cast("list[dict[bytes, bytes]]", answers[1 + JOB_PARTITIONS :])
        return markers, logged, [(name, fields) for name, fields in zip(names, hashes, strict=True) if fields]

    async def _complete_through(self, folded: Sequence[int], logged: Sequence[bytes | None]) -> int:
        now_ms = self._now_ms()
        try:
            ends = await asyncio.gather(*(self._log_ends.ends(p) for p in range(JOB_PARTITIONS)))
        except Outage:
            return min(int(at or 0) for at in logged)
        places = enumerate(zip(logged, ends, folded, strict=True))
        behind = {p: int(at or 0) for p, (at, end, through) in places if through < end.events}
        # What was folded last may be of days ago where little is logged: what comes next tells more.
        quiet = {p: folded[p] for p, at in behind.items() if now_ms - at > _FRESH_MS}
        if quiet:
            behind |= await self._times.of(quiet)
        return min(behind.values(), default=now_ms)


def _buckets(query: UsageQuery, level: str) -> list[str]:
    first, last = (
        (datetime.fromtimestamp(at / 1000, UTC) + _LEDGER_OFFSET).date() for at in (query.from_ms, query.to_ms - 1)
    )
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    form = "%Y-%m-%d" if level == BY_HOUR else "%Y-%m"
    return list(dict.fromkeys(day.strftime(form) for day in days))


def _sums(hashes: Hashes) -> dict[SumId, SumAmounts]:
    found: dict[SumId, SumAmounts] = {}
    for name, fields in hashes:
        for field, text in fields.items():
            with suppress(ValueError):
                about, amounts = read_sum(name, field.decode(), text)
                found[about] = amounts
    return found


def _merged(hashes: Hashes, query: UsageQuery) -> dict[RowId, Amounts]:
    """Add up the partitions' rows of the period."""
    # What is done for each of some 50,000 fields is done by loops of the interpreter's own, not by ours.
    of_bucket: dict[str, list[Mapping[bytes, bytes]]] = {}
    for name, fields in hashes:
        of_bucket.setdefault(name.partition(":")[2], []).append(fields)  # the same in every partition
    rows: list[RowId | None] = []
    at: list[int] = []
    texts: list[bytes] = []
    for about, found in of_bucket.items():
        places = dict(zip(dict.fromkeys(chain.from_iterable(found)), count(len(rows)), strict=False))
        rows += _within(read_rows(f"0:{about}", places), query)
        for fields in found:
            at += map(places.__getitem__, fields)
            texts += fields.values()
    summed = _added(np.array(at, dtype=np.int64), _numbers(texts)).tolist()
    return {row: tuple(amounts) for row, amounts in zip(rows, summed, strict=True) if row is not None}


def _within(rows: Iterable[RowId], query: UsageQuery) -> list[RowId | None]:
    return [row if query.from_ms <= row.start_ms < query.to_ms else None for row in rows]


def _added(at: _Numbers1, amounts: _Numbers2) -> _Numbers2:
    """Return the sums of the amounts that are for the same place; every place up to the last one has some."""
    if not len(at):
        return _NO_ROWS
    order = np.argsort(at, kind="stable")
    begins = np.flatnonzero(np.diff(at[order], prepend=-1))
    return np.add.reduceat(amounts[order], begins, axis=0)


def _numbers(texts: Sequence[bytes]) -> _Numbers2:
    if not texts:
        return _NO_ROWS
    # Reading numbers out of the text takes a third of what splitting it first does.
    return np.fromstring(b" ".join(texts), dtype=np.int64, sep=" ").reshape(len(texts), WIDTH)
