"""Reads jobs from their views in Redis, and knows when a miss means that there is no such job.

A view that is missing proves nothing by itself: it may not be folded yet, or Redis may have lost it.
Only a marker that has reached the log's end, as it was after the miss, makes a miss an answer.
"""

import asyncio
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from schemas.errors import Outage
from schemas.events import JobStatus
from schemas.job_view import JobView
from schemas.topics import JOB_PARTITIONS
from streams import redis_keys
from streams.redis_client import REDIS_FAILURES
from streams.redis_keys import Offsets, decode_marker
from streams.tables.log_ends import LogEnds
from streams.tables.partitions import job_partition
from streams.tables.view_json import decode_view

# Under load the marker is always a few milliseconds behind the log's end; it passes a given end soon.
_MARKER_PATIENCE_S = 0.5
_MARKER_PAUSE_S = 0.02

_SCAN_STEP = 200
_SCAN_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such job."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It cannot be told now whether there is such a job; `reason` is for people, without ids or content."""

    reason: str


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some of a service's jobs, newest first. `next_cursor` None: there are no more."""

    jobs: tuple[JobView, ...]
    next_cursor: str | None


class JobReader:
    """Answers from the views. Never raises for what Redis or Kafka do: it answers Unknown."""

    def __init__(self, redis: Redis, log_ends: LogEnds) -> None:
        self._redis = redis
        self._log_ends = log_ends

    async def get(self, job_id: str) -> JobView | Missing | Unknown:
        """Return a job's view, or whether it is certain that there is none."""
        found = await self.seen(job_id)
        return found if found is not None else await self.after_a_miss(job_id)

    async def after_a_miss(self, job_id: str) -> JobView | Missing | Unknown:
        """Return what `get` does, of a job whose view was not there just now."""
        try:
            return await self._after_a_miss(job_id)
        except REDIS_FAILURES:
            return Unknown("Redis does not answer")

    async def seen(self, job_id: str) -> JobView | Unknown | None:
        """Return a job's view; None when there is none now, which proves nothing."""
        try:
            raw = await self._redis.get(redis_keys.job(job_id))
        except REDIS_FAILURES:
            return Unknown("Redis does not answer")
        return None if raw is None else view_of(raw)

    async def list(
        self,
        service: str,
        module: str | None = None,
        status: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage | Unknown:
        """Return a service's jobs, newest first, at most `limit`; Unknown while views are being rebuilt.

        A page may hold fewer than `limit` jobs and still have a `next_cursor`: filters look at a
        bounded number of jobs a call. Raises ValueError when `cursor` is none of ours.
        """
        after = _read_cursor(cursor) if cursor else None
        try:
            if not await views_stand(self._redis):
                return Unknown("the list of jobs is being rebuilt")
            return await self._page(service, module, status, limit, after)
        except REDIS_FAILURES:
            return Unknown("Redis does not answer")

    async def _after_a_miss(self, job_id: str) -> JobView | Missing | Unknown:
        partition = job_partition(job_id)
        try:
            ends = await self._log_ends.ends(partition)
        except Outage as e:
            return Unknown(e.message)
        deadline = asyncio.get_running_loop().time() + _MARKER_PATIENCE_S
        while True:
            # One command, so that the view is as new as the marker.
            marked, raw = await self._redis.mget(redis_keys.marker(partition), redis_keys.job(job_id))
            if raw is not None:
                return view_of(raw)
            marker = decode_marker(marked)
            if marker is None or marker.folded == redis_keys.NOTHING_FOLDED:
                return Unknown("the view of this job's partition is being rebuilt")
            if marker.folded.covers(ends):
                return Missing()
            if asyncio.get_running_loop().time() > deadline:
                return Unknown(f"the view is {_lag(marker.folded, ends)} records behind the log")
            await asyncio.sleep(_MARKER_PAUSE_S)

    async def _page(
        self, service: str, module: str | None, status: str | None, limit: int, after: "_Cursor | None"
    ) -> JobPage:
        key = redis_keys.jobs(service)
        rank = await self._rank_after(key, after) if after else 0
        found: list[JobView] = []
        for start in range(rank, rank + _SCAN_LIMIT, _SCAN_STEP):
            entries = await self._entries(key, start)
            views = await self._redis.mget([redis_keys.job(e.job_id) for e in entries]) if entries else []
            for entry, raw in zip(entries, views, strict=True):
                view = view_of(raw) if raw is not None else None
                if isinstance(view, JobView) and _matches(view, module, status):
                    found.append(view)
                after = entry
                if len(found) == limit:
                    return JobPage(tuple(found), str(after))
            if len(entries) < _SCAN_STEP:
                return JobPage(tuple(found), None)
        return JobPage(tuple(found), str(after))

    async def _entries(self, key: str, start: int) -> "list[_Cursor]":
        found = await self._redis.zrange(key, start, start + _SCAN_STEP - 1, desc=True, withscores=True)
        pairs = cast("list[tuple[bytes, float]]", found)
        return [_Cursor(int(score), member.decode()) for member, score in pairs]

    async def _rank_after(self, key: str, cursor: "_Cursor") -> int:
        rank = await self._redis.zrevrank(key, cursor.job_id)
        if isinstance(rank, int):
            return rank + 1
        return await self._redis.zcount(key, f"({cursor.created_at_ms}", "+inf")  # expired since then


async def views_stand(redis: Redis) -> bool:
    """Tell whether the views of all partitions are whole. Raises what Redis does."""
    markers = await redis.mget([redis_keys.marker(p) for p in range(JOB_PARTITIONS)])
    found = [decode_marker(raw) for raw in markers]
    return all(m is not None and m.folded != redis_keys.NOTHING_FOLDED for m in found)


@dataclass(frozen=True, slots=True)
class _Cursor:
    created_at_ms: int
    job_id: str

    def __str__(self) -> str:
        return f"{self.created_at_ms}-{self.job_id}"


def _read_cursor(text: str) -> _Cursor:
    created, _, job_id = text.partition("-")
    if not created.isdecimal() or not job_id:
        raise ValueError("cursor: take it from `next_cursor` of the page before")
    return _Cursor(int(created), job_id)


def view_of(raw: bytes | str) -> JobView | Unknown:
    """Return a view as it stands in Redis."""
    try:
        return decode_view(raw)
    except (ValueError, KeyError, TypeError):
        return Unknown("the job's view cannot be read by this version of the gateway")


def _matches(view: JobView, module: str | None, status: str | None) -> bool:
    document = view.document
    if document["status"] == JobStatus.PURGED:
        return False  # it answers for itself only
    return module in (None, document["module"]) and status in (None, document["status"])


def _lag(folded: Offsets, ends: Offsets) -> int:
    return max(0, ends.events - folded.events) + max(0, ends.results - folded.results)
