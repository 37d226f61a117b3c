"""What admission does when the broker does not answer while a partition is taken over."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from schemas.codec import Codec
from streams.admission import answers, reading
from streams.admission.answers import Answerer
from streams.log.schema_reader import CodecDecoder


class SilentBroker:
    """A client whose broker answers no question about a group, and sends no record; it knows how to stop."""

    def __init__(self) -> None:
        self.stopped = False

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close."""
        self.stopped = True

    async def topics(self) -> set[str]:
        """Tell the topics."""
        return set()

    async def committed(self, partition: TopicPartition) -> int | None:
        """Wait for the group's coordinator, as aiokafka does when that was killed."""
        return await asyncio.get_running_loop().create_future()

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Take partitions."""

    def pause(self, partition: TopicPartition) -> None:
        """Fetch no more of a partition."""

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Go to the start."""

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Tell the ends: there are records."""
        return dict.fromkeys(partitions, 1)

    async def position(self, partition: TopicPartition) -> int:
        """Tell where the client is."""
        return 0

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int) -> Mapping[TopicPartition, Sequence[Any]]:
        """Send nothing."""
        await asyncio.sleep(0)
        return {}


async def test_a_takeover_that_gets_no_answer_is_given_up_and_closes_what_it_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process then connects anew; it stood still for good otherwise."""
    producer: Any = SilentBroker()
    monkeypatch.setattr(answers, "bulk_producer", lambda *_: producer)
    monkeypatch.setattr(answers, "_ROUND_S", 0.05)
    broker: Any = SilentBroker()
    codec = Codec()
    answerer = Answerer("nowhere", codec, CodecDecoder(codec), frozenset, broker)
    async with asyncio.timeout(20):
        with pytest.raises(TimeoutError):
            await answerer._open(3, broker, producer)
    assert producer.stopped


async def test_reading_from_the_start_is_given_up_when_records_are_there_and_none_comes() -> None:
    broker: Any = SilentBroker()
    async with asyncio.timeout(20):
        with pytest.raises(TimeoutError):
            async for _ in reading.whole(broker, [TopicPartition("t", 0)]):
                pass
