"""Whoever reads the log for one question leaves no client behind, and tells of an outage, however the client ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from schemas.errors import Outage
from streams.admission.reading import whole
from streams.log import reading
from streams.log.kafka_key import read_key
from streams.log.kafka_range import log_ends, read_range
from streams.log.kafka_times import read_offsets, time_ranges
from streams.log.protocols import Partition
from streams.tables.log_ends import KafkaLogEnds
from streams.tables.positions import GroupPositions
from tests.unit.silent_broker import SilentBroker

NOWHERE = "127.0.0.1:1"


async def first(batches: AsyncIterator[object]) -> object:
    """Ask for the first of what comes."""
    return await anext(batches)


QUESTIONS: dict[str, Callable[[], Awaitable[object]]] = {
    "ends of a partition": lambda: KafkaLogEnds(NOWHERE).ends(0),
    "ends of a topic": lambda: log_ends(NOWHERE, "t"),
    "a range": lambda: first(read_range(NOWHERE, "t", {0: 1})),
    "a key": lambda: read_key(NOWHERE, ["t"], b"k"),
    "times": lambda: time_ranges(NOWHERE, ["t"], 0, 1),
    "offsets": lambda: first(read_offsets(NOWHERE, {Partition("t", 0): (0, 1)})),
    "a group": lambda: GroupPositions(NOWHERE, "g").read([0]),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_a_client_that_cannot_start_is_closed_and_hands_no_cancellation_on(
    question: Callable[[], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka hands the cancellation of its fetches on to whoever closes it while the broker is down."""
    begun, closed = list[AIOKafkaConsumer](), list[AIOKafkaConsumer]()

    async def start(consumer: AIOKafkaConsumer) -> None:
        begun.append(consumer)
        raise KafkaConnectionError("nobody listens")

    async def stop(consumer: AIOKafkaConsumer) -> None:
        closed.append(consumer)
        consumer._closed = True  # else it warns when it is collected
        raise asyncio.CancelledError

    monkeypatch.setattr(AIOKafkaConsumer, "start", start)
    monkeypatch.setattr(AIOKafkaConsumer, "stop", stop)
    with pytest.raises(Outage):
        await question()
    assert begun
    assert closed == begun


def _batch_entries() -> Awaitable[object]:
    broker: Any = SilentBroker()
    return first(whole(broker, [TopicPartition("t", 0)]))


@pytest.mark.parametrize(
    "question",
    [QUESTIONS["a range"], QUESTIONS["a key"], QUESTIONS["offsets"], _batch_entries],
    ids=["a range", "a key", "offsets", "batch entries"],
)
async def test_records_that_are_there_and_never_come_are_an_outage(
    question: Callable[[], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka may stall for good after a broker's restart, and says nothing."""
    monkeypatch.setattr(reading, "AIOKafkaConsumer", SilentBroker)
    monkeypatch.setattr(reading, "_SILENT_S", 0.02, raising=False)
    async with asyncio.timeout(20):
        with pytest.raises(Outage, match="none came"):
            await question()
