"""Writes many records at once to partitions that the writer chooses: a batch a partition, one future each.

The partition of a job is the same in every topic that is keyed by it, so it is computed once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from schemas.topics import MAX_REQUEST_BYTES
from streams.log.bootstrap import client_options
from streams.log.light_producer import LightProducer

BATCH_BYTES = 256 * 1024


class Write(NamedTuple):
    """A record to be written to a partition."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def bulk_producer(bootstrap: str, transactional_id: str | None = None) -> AIOKafkaProducer:
    """Make a producer for large batches: idempotent, `acks=all`."""
    return LightProducer(
        **client_options(bootstrap),
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=20_000,
        transactional_id=transactional_id,
    )


async def write_all(producer: AIOKafkaProducer, writes: Iterable[Write]) -> None:
    """Write the records, in order within each partition; returns when all are acknowledged."""
    places: dict[tuple[str, int], list[Write]] = {}
    for write in writes:
        places.setdefault((write.topic, write.partition), []).append(write)
    pending: list[asyncio.Future[Any]] = []
    for (topic, partition), each in places.items():
        builder = producer.create_batch()
        for write in each:
            if _append(builder, write) is None:
                pending.append(await producer.send_batch(builder, topic, partition=partition))
                builder = producer.create_batch()
                _append(builder, write)
        pending.append(await producer.send_batch(builder, topic, partition=partition))
    await asyncio.gather(*pending)


def _append(builder: Any, write: Write) -> Any:
    return builder.append(key=write.key, value=write.value, timestamp=None, headers=list(write.headers))
