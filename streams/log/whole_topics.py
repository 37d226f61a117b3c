"""Reads topics once, from offset 0 to where they end now."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.log.admin import kafka_admin
from streams.log.kafka_errors import translated
from streams.log.kafka_tail import to_log_record
from streams.log.protocols import LogRecord
from streams.log.reading import Silence, open_reader

_POLL_MS = 500
_CALL_S = 15.0
_FETCH_BYTES = 1024 * 1024


async def read_whole(bootstrap: str, topics: Iterable[str]) -> AsyncGenerator[Sequence[LogRecord]]:
    """Yield every record that is on the topics now, in batches of one partition each, in the order of its offsets.

    Topics that do not exist are passed over. Raises Outage when the broker does not answer.
    """
    async with kafka_admin(bootstrap) as admin:
        names = sorted(frozenset(topics) & await admin.topic_names())
    if not names:
        return
    doing = f"reading {len(names)} topics from their start"
    options = {"max_partition_fetch_bytes": _FETCH_BYTES, "fetch_max_wait_ms": 100}
    async with open_reader(bootstrap, doing, *names, **options) as consumer:
        with translated(doing):
            async with asyncio.timeout(_CALL_S):
                left = await _ends(consumer)
        silence = Silence(doing)
        while left:
            with translated(doing):
                fetched = await consumer.getmany(timeout_ms=_POLL_MS)
                async with asyncio.timeout(_CALL_S):
                    done = {tp for tp, end in left.items() if await consumer.position(tp) >= end}
            for tp, records in fetched.items():
                batch = [to_log_record(r) for r in records if r.offset < left.get(tp, 0)]
                if batch:
                    yield batch
            left = {tp: end for tp, end in left.items() if tp not in done}
            silence.note(fetched)


async def _ends(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
    """Return the next offset of each partition that has records."""
    partitions = list(consumer.assignment())
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    return {tp: ends[tp] for tp in partitions if ends[tp] > begins[tp]}
