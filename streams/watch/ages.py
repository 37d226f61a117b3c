"""How old the oldest record is that a consumer group has not finished, topic by topic."""

import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

_LOOK_S = 5.0
_FETCH_S = 2.0
_MOST_PARTITIONS = 64
"""Partitions whose oldest record is asked for at once: each answer is a whole batch, up to a megabyte."""

Waiting = tuple[str, str]
"""A group and a topic of its own on which it is behind."""


class Ages:
    """Asks in turn: a look takes about five seconds at most, and the next one begins where it ended.

    With many batch doors behind (a broker that is slow, quotas that are used up) one look cannot reach them all.
    """

    def __init__(self) -> None:
        self._after: Waiting | None = None

    async def look(
        self, consumer: AIOKafkaConsumer, left: Mapping[Waiting, Mapping[TopicPartition, int]]
    ) -> dict[Waiting, float]:
        """Return the age in seconds for those of `left` (next offsets) that were reached.

        0 where nothing came: what is left may be marks of transactions alone. Raises what aiokafka raises.
        """
        ages: dict[Waiting, float] = {}
        until = time.monotonic() + _LOOK_S
        for together in portions(left, self._after):
            if ages and time.monotonic() + _FETCH_S > until:
                break
            # Two groups may be at different places of one partition, so a portion is of one group.
            offsets = {tp: at for waiting in together for tp, at in left[waiting].items()}
            found = await _oldest(consumer, offsets)
            for waiting in together:
                ages[waiting] = max((found.get(tp, 0.0) for tp in left[waiting]), default=0.0)
            self._after = together[-1]
        return ages


def portions(left: Mapping[Waiting, Mapping[TopicPartition, int]], after: Waiting | None) -> list[Sequence[Waiting]]:
    """Return what is asked for together, in order from the one behind `after` and round to it. Pure.

    A portion is of one group, its topics are whole, and it has at most 64 partitions unless a single topic has more.
    """
    every = sorted(left)
    behind = [waiting for waiting in every if after is not None and waiting > after]
    cut: list[list[Waiting]] = []
    size = 0
    for waiting in [*behind, *every[: len(every) - len(behind)]]:
        more = len(left[waiting])
        if not cut or cut[-1][-1][0] != waiting[0] or size + more > _MOST_PARTITIONS:
            cut.append([])
            size = 0
        cut[-1].append(waiting)
        size += more
    return list(cut)


async def _oldest(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, float]:
    consumer.assign(list(offsets))
    for partition, offset in offsets.items():
        consumer.seek(partition, offset)
    ages: dict[TopicPartition, float] = {}
    until = time.monotonic() + _FETCH_S
    while len(ages) < len(offsets) and (left_s := until - time.monotonic()) > 0:
        waiting = [partition for partition in offsets if partition not in ages]
        batches = await consumer.getmany(*waiting, timeout_ms=int(left_s * 1000) + 1, max_records=len(waiting))
        for partition, records in batches.items():
            if records and partition not in ages:
                ages[partition] = max(0.0, time.time() - records[0].timestamp / 1000)
    consumer.unsubscribe()
    return ages
