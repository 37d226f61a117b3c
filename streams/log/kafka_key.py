"""Reads the records of one key from many topics, with a plain consumer without a group."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.log.kafka_errors import translated
from streams.log.kafka_tail import to_log_record
from streams.log.protocols import LogRecord
from streams.log.reading import Silence, open_reader
from streams.log.topic_partitions import partition_of

_POLL_MS = 500
_CALL_S = 30.0


async def read_key(bootstrap: str, topics: Iterable[str], key: bytes, *, since_ms: int = 0) -> list[LogRecord]:
    """Return the records of a key that are on the topics now, from those logged at `since_ms` on.

    Of each topic only the key's partition is read (murmur2, as every writer here). Topics that do not exist are
    passed over. Raises schemas.errors.Outage.
    """
    doing = "reading what the topics tell of one key"
    found: list[LogRecord] = []
    with translated(doing):
        async with open_reader(bootstrap, doing) as consumer:
            left = await _assigned(consumer, frozenset(topics), key, since_ms)
            silence = Silence(doing)
            while left:
                async with asyncio.timeout(_CALL_S):
                    fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS)
                    # By the position, for what is compacted away has an offset and never comes.
                    done = [tp for tp, end in left.items() if await consumer.position(tp) >= end]
                silence.note(fetched)
                for tp, records in fetched.items():
                    found += [to_log_record(r) for r in records if r.key == key and r.offset < left[tp]]
                for tp in done:
                    del left[tp]
                    consumer.pause(tp)
    return found


async def _assigned(
    consumer: AIOKafkaConsumer, wanted: frozenset[str], key: bytes, since_ms: int
) -> dict[TopicPartition, int]:
    """Assign the key's partitions, go to their start, and return where each that has records ends now."""
    async with asyncio.timeout(_CALL_S):
        existing = wanted & await consumer.topics()
        # The client learns how many partitions a topic has with the first question about it.
        await consumer.end_offsets([TopicPartition(topic, 0) for topic in existing])
        counts = {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in existing}
        mine = [TopicPartition(topic, partition_of(key, n)) for topic, n in counts.items() if n]
        if not mine:
            return {}
        consumer.assign(mine)
        begins, ends = await consumer.beginning_offsets(mine), await consumer.end_offsets(mine)
        if since_ms > 0:
            at = await consumer.offsets_for_times(dict.fromkeys(mine, since_ms))
            begins = {tp: found.offset if (found := at.get(tp)) is not None else ends[tp] for tp in mine}
    left = {tp: ends[tp] for tp in mine if begins[tp] < ends[tp]}
    for tp in mine:
        if tp in left:
            consumer.seek(tp, begins[tp])
        else:
            consumer.pause(tp)
    return left
