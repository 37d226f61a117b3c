"""How many batch jobs may be under way at once, so that whoever waits for an interactive job does not wait for them.

All lanes' events are folded into the views in one order, so a hundred thousand jobs started at once would stand
in front of the next caller's. The window of jobs that are started and not yet answered therefore follows how far
the views are behind the log: it grows while they are current (slow jobs, many processors) and shrinks while they
are not (quick jobs, few cores).
"""

import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis
from redis.exceptions import RedisError

from schemas.topics import JOB_EVENTS, JOB_PARTITIONS, RESULTS
from streams import redis_keys
from streams.metrics import BATCH_WINDOW
from streams.redis_keys import decode_marker

LEAST = 32
MOST = 8_192
_BEHIND = 100  # events: some 40 ms of folding on two busy cores
_STEP = 16
_SHRINK = 0.75
_LOOK_S = 0.05
# 32 jobs a second in small bites: a no-op job costs 2 to 3 ms of CPU over all processes.
TRICKLE = 8
_TRICKLE_S = 0.25


def next_window(window: int, behind: int | None) -> int:
    """Return the next window; `behind` is how many events the views lack, None when that is not known."""
    if behind is None or behind > _BEHIND:
        return max(LEAST, int(window * _SHRINK))
    return min(MOST, window + _STEP)


class Pace:
    """The window of one process, moved twenty times a second, and closed while the views are behind.

    Answers do not wait for the views, so a window of unanswered jobs alone would let the processors run ahead of
    them. While they are behind (or nobody can tell), and while the doors are full (`accepting`), only TRICKLE jobs
    every quarter of a second are started: no door is starved by others' load, and checking and jobs do not come on
    top of one another.
    """

    def __init__(self, redis: Redis, accepting: Callable[[], bool]) -> None:
        self._redis = redis
        self._accepting = accepting
        self._window = LEAST
        self._looked = self._trickled = 0.0
        self._is_behind = False

    async def room(self, under_way: int, consumer: AIOKafkaConsumer) -> int:
        """Return how many more jobs may be started. Raises KafkaError when the log does not tell its end."""
        now = time.monotonic()
        if (under_way or self._is_behind) and now - self._looked >= _LOOK_S:
            self._looked = now
            behind = await self._behind(consumer)
            self._is_behind = behind is None or behind > _BEHIND
            # A window that is not used up says nothing: it grows only under those who use it.
            if under_way >= self._window // 2 or self._is_behind:
                self._window = next_window(self._window, behind)
            BATCH_WINDOW.set(self._window)
        if not self._is_behind and not self._accepting():
            return max(0, self._window - under_way)
        if now - self._trickled < _TRICKLE_S:
            return 0
        self._trickled = now
        return TRICKLE

    async def _behind(self, consumer: AIOKafkaConsumer) -> int | None:
        try:
            raw = await self._redis.mget([redis_keys.marker(p) for p in range(JOB_PARTITIONS)])
        except (RedisError, OSError, TimeoutError):
            return None
        markers = [decode_marker(one) for one in raw]
        topics = (JOB_EVENTS.name, RESULTS.name)
        ends = await consumer.end_offsets([TopicPartition(t, p) for t in topics for p in range(JOB_PARTITIONS)])
        behind = 0
        for p, marker in enumerate(markers):
            if marker is None or marker.folded == redis_keys.NOTHING_FOLDED:
                return None
            for topic, folded in zip(topics, (marker.folded.events, marker.folded.results), strict=True):
                behind += max(0, ends[TopicPartition(topic, p)] - folded)
        return behind
