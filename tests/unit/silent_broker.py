"""A stand-in for a client whose broker went away without a word."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition


class SilentBroker:
    """A client whose broker answers no question about a group, and sends no record; it knows how to stop."""

    def __init__(self, *_: object, **__: object) -> None:
        self.stopped = False

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close."""
        self.stopped = True

    async def topics(self) -> set[str]:
        """Tell the topics."""
        return {"t"}

    def partitions_for_topic(self, topic: str) -> set[int]:
        """Tell a topic's partitions."""
        return {0}

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Tell the beginnings."""
        return dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go somewhere."""

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

    async def getmany(self, *partitions: TopicPartition, **_: int) -> Mapping[TopicPartition, Sequence[Any]]:
        """Send nothing."""
        await asyncio.sleep(0)
        return {}
