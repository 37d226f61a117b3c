"""Notices a process that runs but does nothing: a consumer that gets no records of a partition though there are
some, works that wait though nothing begins or ends, and an event loop that stands still. The remedy is
the same: leave, and be started again."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Mapping

from schemas.errors import GatewayError, Outage
from streams.log.protocols import Partition, Publisher, Reach, Subscriber
from streams.logs import get_logger
from streams.metrics import CONSUMER_LAG, STAGE_OLDEST_SECONDS
from streams.runtime.worker import Worker

log = get_logger(__name__)

INTERVAL_S = 5.0
STALLED_S = 45.0
LOOP_STALLED_S = 60.0
EXIT_STALLED = 70


class StalledError(GatewayError):
    """The process makes no progress and cannot tell why; a fresh one will."""

    default_code = "consumer_stalled"


class Standstill:
    """How long reading has stood still on each partition though records wait there. Pure.

    What counts is that the position does not move, look after look: a partition may have been empty for hours
    before its first record is seen waiting, and others may flow beside one that does not.
    """

    def __init__(self) -> None:
        self._stood: dict[Partition, tuple[int, float]] = {}

    def look(self, waiting: Mapping[Partition, Reach], step_s: float) -> None:
        """Take note of the partitions where records wait now, `step_s` after the last look."""
        before = self._stood
        self._stood = {
            partition: (at.position, before[partition][1] + step_s if self._stands(partition, at) else 0.0)
            for partition, at in waiting.items()
        }

    def reset(self) -> None:
        """Begin anew: the partitions have been assigned again."""
        self._stood = {}

    def longer_than(self, limit_s: float) -> Partition | None:
        """Return the partition that has stood still longest, if that is longer than the limit."""
        longest = max(self._stood, key=lambda partition: self._stood[partition][1], default=None)
        return longest if longest is not None and self._stood[longest][1] > limit_s else None

    def _stands(self, partition: Partition, at: Reach) -> bool:
        return partition in self._stood and self._stood[partition][0] == at.position


async def watch_consumer(
    worker: Worker,
    subscriber: Subscriber,
    publisher: Publisher,
    *,
    interval_s: float = INTERVAL_S,
    stalled_s: float = STALLED_S,
) -> None:
    """Measure the lag, for ever; raises StalledError when records of a partition wait and none of it has come for
    `stalled_s`, or works wait and none has begun or ended for that long and an attempt's time.

    A log that is down is no stall: while the publisher, which has connections of its own, finds it
    down too, the time does not count.
    """
    await worker.joined.wait()
    looked_at = unanswered_since = time.monotonic()
    standstill, assigned_at = Standstill(), worker.assigned_at
    while True:
        await asyncio.sleep(interval_s)
        now = time.monotonic()
        # By the clock, but not much: a process that was stopped and goes on has not been reading meanwhile.
        step_s, looked_at = min(now - looked_at, 2 * interval_s), now
        try:
            waiting = await _waiting(worker, subscriber)
            unanswered_since = now
        except Outage as e:
            log.warning("watchdog.no_answer", group=worker.group, code=e.code, reason=e.message)
            if not publisher.healthy:
                unanswered_since = now
            elif now - unanswered_since > stalled_s:
                raise StalledError(f"{worker.group}: the consumer's connection is dead, the publisher's is not") from e
            continue
        if worker.assigned_at != assigned_at:
            assigned_at = worker.assigned_at
            standstill.reset()
        standstill.look(waiting, step_s)
        if (stalled := standstill.longer_than(stalled_s)) is not None:
            where, behind = f"{stalled.topic}/{stalled.number}", waiting[stalled].end - waiting[stalled].position
            raise StalledError(f"{worker.group}: {behind} records of {where} wait, none came for {stalled_s:g} s")
        if worker.should_progress and publisher.healthy and now - worker.progressed_at > stalled_s + worker.longest_s:
            raise StalledError(f"{worker.group}: work waits, and none began or ended for {worker.longest_s:g} s")
        oldest = worker.oldest_ms
        STAGE_OLDEST_SECONDS.labels(worker.kind).set(time.time() - oldest / 1000 if oldest else 0)


async def _waiting(worker: Worker, subscriber: Subscriber) -> dict[Partition, Reach]:
    """Return the partitions of which records should have been read and were not; set the lag's metric on the way."""
    held = dict(worker.held)
    reach = await subscriber.reach(held)
    lag: dict[str, int] = {}
    waiting: dict[Partition, Reach] = {}
    for partition, at in reach.items():
        state = held[partition]
        finished = state.offsets.committable if state.offsets is not None else at.position
        lag[partition.topic] = lag.get(partition.topic, 0) + max(0, at.end - finished)
        if not state.paused and at.position < at.end:
            waiting[partition] = at
    for topic, records in lag.items():
        CONSUMER_LAG.labels(worker.group, topic).set(records)
    return waiting


class LoopWatch:
    """A thread that ends the process when the event loop stands still for `limit_s`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limit_s: float = LOOP_STALLED_S, interval_s: float = INTERVAL_S
    ) -> None:
        self._loop = loop
        self._limit_s = limit_s
        self._interval_s = interval_s
        self._ticks = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()

    def _watch(self) -> None:
        # Counted in own intervals, not by the clock: a stopped and continued process gets its time.
        seen, missed = -1, 0
        while not self._closed.wait(self._interval_s):
            missed = missed + 1 if self._ticks == seen else 0
            seen = self._ticks
            if missed * self._interval_s >= self._limit_s:
                log.error("watchdog.loop_stalled", seconds=missed * self._interval_s)
                sys.stderr.flush()
                os._exit(EXIT_STALLED)
            self._loop.call_soon_threadsafe(self._tick)

    def _tick(self) -> None:
        self._ticks += 1
