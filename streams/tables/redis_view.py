"""Writes the views, the lists and the markers. Every write is fenced by the partition's marker.

A write names the generation it belongs to. When the marker is gone (FLUSHALL, a restart of Redis) or
names another generation (the partition has another owner by now), nothing is written and the caller
is told what stands there. So a lost view is noticed with the next batch, and a process that slept
through a rebalance cannot put old views over new ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from streams import redis_keys
from streams.redis_client import REDIS_FAILURES, redis_outage
from streams.redis_keys import Marker, decode_marker

W = TypeVar("W")

# KEYS: marker. ARGV: own generation, new marker, then for each view: view key, list key, channel, job id,
# created_at, seconds to live ('' for ever), body. One script call is one step for every reader, so
# the marker, written last, never tells more than the views show.
_WRITE = """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return held or '' end
for i = 3, #ARGV, 7 do
  if ARGV[i + 5] == '' then
    redis.call('SET', ARGV[i], ARGV[i + 6])
  else
    redis.call('SET', ARGV[i], ARGV[i + 6], 'EX', ARGV[i + 5])
  end
  redis.call('ZADD', ARGV[i + 1], ARGV[i + 4], ARGV[i + 3])
  redis.call('PUBLISH', ARGV[i + 2], '')
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class ViewWrite:
    """One job's view; `ttl_s` None: it lives until it is replaced."""

    job_id: str
    service: str
    created_at_ms: int
    ttl_s: int | None
    body: bytes


@dataclass(frozen=True, slots=True)
class PartitionWrite(Generic[W]):
    """Views of one partition and the marker that is true once they are written."""

    partition: int
    marker: Marker
    views: Sequence[W]


@dataclass(frozen=True, slots=True)
class Fenced:
    """A write that was refused, and the marker that stands there instead, if any."""

    held: Marker | None


class FencedWriter(ABC, Generic[W]):
    """Writes fenced by markers. Every call raises schemas.errors.Outage when Redis does not answer.

    `source` is a script with the marker as its key, and the generation and the new marker as its first
    arguments; it answers 1, or the marker that stands in the way.
    """

    def __init__(self, redis: Redis, source: str, marker_key: Callable[[int], str]) -> None:
        self._redis = redis
        self._source = source
        self._marker_key = marker_key
        self._script = ""

    @abstractmethod
    def arguments(self, write: PartitionWrite[W]) -> list[str | int | bytes]:
        """Return the script's further arguments."""

    async def write(self, writes: Sequence[PartitionWrite[W]]) -> list[Fenced | None]:
        """Write views; returns for each partition None, or what fenced it off."""
        try:
            answers = await self._run(writes)
            if any(isinstance(a, NoScriptError) for a in answers):
                self._script = ""  # Redis was restarted
                answers = await self._run(writes)
        except REDIS_FAILURES as e:
            raise redis_outage(e) from e
        for answer in answers:
            if isinstance(answer, Exception):
                raise redis_outage(answer) from answer
        return [None if a == 1 else Fenced(_held(a)) for a in answers]

    async def markers(self, partitions: Sequence[int]) -> list[Marker | None]:
        """Return the markers of partitions, as they stand."""
        if not partitions:
            return []
        try:
            return [decode_marker(raw) for raw in await self._redis.mget([self._marker_key(p) for p in partitions])]
        except REDIS_FAILURES as e:
            raise redis_outage(e) from e

    async def set_markers(self, markers: dict[int, Marker]) -> None:
        """Put markers down, whatever stands there."""
        if not markers:
            return
        try:
            await self._redis.mset({self._marker_key(p): m.encode() for p, m in markers.items()})
        except REDIS_FAILURES as e:
            raise redis_outage(e) from e

    async def _run(self, writes: Sequence[PartitionWrite[W]]) -> list[object]:
        if not self._script:
            loaded = await self._redis.script_load(self._source)
            self._script = str(loaded, "ascii") if isinstance(loaded, bytes) else loaded
        async with self._redis.pipeline(transaction=False) as pipe:
            for write in writes:
                marker = write.marker
                arguments = (marker.generation, marker.encode(), *self.arguments(write))
                pipe.evalsha(self._script, 1, self._marker_key(write.partition), *arguments)
            return await pipe.execute(raise_on_error=False)


class RedisView(FencedWriter[ViewWrite]):
    """The writing side of the views of jobs."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, _WRITE, redis_keys.marker)

    def arguments(self, write: PartitionWrite[ViewWrite]) -> list[str | int | bytes]:
        """Return seven arguments for each view."""
        arguments: list[str | int | bytes] = []
        for view in write.views:
            arguments += (
                redis_keys.job(view.job_id),
                redis_keys.jobs(view.service),
                redis_keys.changed(view.job_id),
                view.job_id,
                view.created_at_ms,
                "" if view.ttl_s is None else view.ttl_s,
                view.body,
            )
        return arguments

    async def forget(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Remove jobs, given as (job id, service), from views and lists."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id, service in jobs:
                    pipe.delete(redis_keys.job(job_id))
                    pipe.zrem(redis_keys.jobs(service), job_id)
                await pipe.execute()
        except REDIS_FAILURES as e:
            raise redis_outage(e) from e


def _held(answer: object) -> Marker | None:
    return decode_marker(answer) if isinstance(answer, bytes | str) else None
