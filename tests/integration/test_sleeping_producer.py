"""A producer of a table that stood still: what it had not sent fails, and so does all that follows."""

import time
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaError

from schemas.topics import JOB_TABLE_CHANGELOG
from streams.tables.awake_producer import AwakeProducer, Standstill

pytestmark = pytest.mark.kafka


class Clock:
    """The clock, put on by hand."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


async def test_what_was_not_sent_before_a_standstill_is_never_sent(kafka: str) -> None:
    clock, topic = Clock(), JOB_TABLE_CHANGELOG.name
    made: Any = type("Made", (AwakeProducer,), {"standstill": Standstill(7.0, clock)})
    producer = made(bootstrap_servers=kafka, acks="all", max_batch_size=1 << 18)
    await producer.start()
    try:
        key = uuid4().hex.encode()
        written = await (await producer.send(topic, b"1", key=key, partition=0))
        waiting = await producer.send(topic, b"2", key=key, partition=0)
        clock.ahead_s = 20.0  # before the sender had its turn
        with pytest.raises(KafkaError):
            await waiting
        with pytest.raises(KafkaError):
            await producer.send(topic, b"3", key=key, partition=0)
    finally:
        await producer.stop()
    assert written.offset >= 0
