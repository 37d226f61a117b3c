"""Reads a part of a topic, from a time on and up to an offset, without a consumer group; then it is done."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.log.kafka_errors import translated
from streams.log.kafka_tail import to_log_record
from streams.log.protocols import LogRecord
from streams.log.reading import Silence, open_reader
from streams.log.topic_partitions import partitions_of

_POLL_MS = 1_000
_CALL_S = 15.0
_AT_ONCE = 2_000


async def log_ends(bootstrap: str, topic: str) -> dict[int, int]:
    """Return the offset after the last record, by partition. Raises schemas.errors.Outage."""
    doing = f"reading the end of {topic}"
    with translated(doing):
        async with asyncio.timeout(_CALL_S), open_reader(bootstrap, doing) as consumer:
            every = await partitions_of(consumer, topic)
            return {tp.partition: end for tp, end in (await consumer.end_offsets(every)).items()}


async def read_range(
    bootstrap: str, topic: str, upto: Mapping[int, int], *, since_ms: int | None = None
) -> AsyncIterator[Sequence[LogRecord]]:
    """Yield the records below `upto`, by partition, from those logged at `since_ms` on; else from the first.

    Raises schemas.errors.Outage.
    """
    doing = f"reading {topic}"
    with translated(doing):
        async with open_reader(bootstrap, doing) as consumer:
            every = [tp for tp in await partitions_of(consumer, topic) if upto.get(tp.partition, 0) > 0]
            consumer.assign(every)
            left = set(every)
            for tp, offset in (await _starts(consumer, every, since_ms)).items():
                if offset >= upto[tp.partition]:
                    left.discard(tp)
                    consumer.pause(tp)
                else:
                    consumer.seek(tp, offset)
            silence = Silence(doing)
            while left:
                fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
                silence.note(fetched)
                for tp, records in fetched.items():
                    yield [to_log_record(r) for r in records if r.offset < upto[tp.partition]]
                # By the position, for what is compacted away has an offset and never comes.
                for tp in tuple(left):
                    if await consumer.position(tp) >= upto[tp.partition]:
                        left.discard(tp)
                        consumer.pause(tp)


async def _starts(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], since_ms: int | None
) -> dict[TopicPartition, int]:
    if not partitions:
        return {}
    first = await consumer.beginning_offsets(partitions)
    if since_ms is None:
        return first
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, max(since_ms, 0)))
    ends = await consumer.end_offsets(partitions)
    return {tp: at.offset if (at := found.get(tp)) is not None else ends[tp] for tp in partitions}
