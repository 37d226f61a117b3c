"""Fetches of a few requests are kept apart, so that those that come faster share one; a backlog is not kept waiting."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from streams.runtime import kafka_subscriber
from streams.runtime.kafka_subscriber import KafkaSubscriber

PLACE = TopicPartition("t", 0)


class Consumer:
    """Gives what it was given."""

    def __init__(self) -> None:
        self.coming = 0

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        del timeout_ms
        record: Any = ConsumerRecord("t", 0, 0, 0, 0, b"k", b"v", None, 1, 1, ())
        return {PLACE: [record] * self.coming} if self.coming else {}


async def test_only_a_fetch_of_a_few_is_followed_by_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_subscriber, "_APART_S", 3600.0)
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    subscriber, consumer = KafkaSubscriber("127.0.0.1:1", "g", ["t"]), Consumer()
    subscriber._consumer = consumer  # type: ignore[assignment]
    for coming, pauses in ((1, 0), (500, 1), (0, 1), (63, 1), (1, 2)):  # how many come, and the pauses by then
        consumer.coming = coming
        fetched = await subscriber.poll(1.0)
        assert sum(map(len, fetched.values())) == coming
        assert len(paused) == pauses
