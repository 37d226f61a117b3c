"""Finds out what a topic holds for a period of time, and reads just that, without a consumer group."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from streams.log.kafka_errors import translated
from streams.log.protocols import Partition
from streams.log.reading import Silence, open_reader
from streams.log.topic_partitions import partitions_of

_CALL_S = 20.0
_POLL_MS = 1_000
_AT_ONCE = 2_000
_FETCH_BYTES = 2 * 1024 * 1024
# Records stand in the order of their arrival, their times are their writers': looked for a bit further.
_SKEW_MS = 60_000

Raw = ConsumerRecord[bytes | None, bytes | None]


class Range(NamedTuple):
    """Offsets from `start` to before `end`; `first` is the oldest offset that is still there, since `first_ms`.

    `first_ms` is None where the partition is empty.
    """

    start: int
    end: int
    first: int
    first_ms: int | None


async def time_ranges(bootstrap: str, topics: Iterable[str], since_ms: int, until_ms: int) -> dict[Partition, Range]:
    """Return where the records of a period stand, by partition. Some in it may still be of another time.

    Raises schemas.errors.Outage, also when a topic does not exist.
    """
    names = tuple(topics)
    doing = f"reading the times of {', '.join(names)}"
    with translated(doing):
        async with asyncio.timeout(_CALL_S), open_reader(bootstrap, doing) as consumer:
            every = [tp for name in names for tp in await partitions_of(consumer, name)]
            firsts, ends = await consumer.beginning_offsets(every), await consumer.end_offsets(every)
            oldest = await consumer.offsets_for_times(dict.fromkeys(every, 0))
            starts = await consumer.offsets_for_times(dict.fromkeys(every, max(0, since_ms - _SKEW_MS)))
            stops = await consumer.offsets_for_times(dict.fromkeys(every, until_ms + _SKEW_MS))
            return {
                Partition(tp.topic, tp.partition): Range(
                    start=at.offset if (at := starts.get(tp)) else ends[tp],
                    end=at.offset if (at := stops.get(tp)) else ends[tp],
                    first=firsts[tp],
                    first_ms=at.timestamp if (at := oldest.get(tp)) else None,
                )
                for tp in every
            }


async def read_offsets(bootstrap: str, ranges: Mapping[Partition, tuple[int, int]]) -> AsyncGenerator[Sequence[Raw]]:
    """Yield the records of each range, one partition a batch, as the client has them: millions are read this way.

    Raises schemas.errors.Outage.
    """
    left = {TopicPartition(p.topic, p.number): r for p, r in ranges.items() if r[0] < r[1]}
    if not left:
        return
    doing = f"reading {', '.join(sorted({tp.topic for tp in left}))}"
    async with open_reader(bootstrap, doing, max_partition_fetch_bytes=_FETCH_BYTES) as consumer:
        consumer.assign(list(left))
        for tp, (start, _) in left.items():
            consumer.seek(tp, start)
        silence = Silence(doing)
        while left:
            with translated(doing):
                fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            silence.note(fetched)
            for tp, records in fetched.items():
                end = left[tp][1]
                yield records if records[-1].offset < end else [r for r in records if r.offset < end]
            # By the position, for what is compacted or removed has an offset and never comes.
            for tp in tuple(left):
                if await consumer.position(tp) >= left[tp][1]:
                    del left[tp]
                    consumer.pause(tp)
