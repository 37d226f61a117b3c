"""The log in memory, for tests: the same protocols as on Kafka, and the same contract tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.codec import Codec
from schemas.errors import Outage
from schemas.topics import Topic, all_topics
from streams.log.protocols import (
    Committed,
    Headers,
    LogRecord,
    Outgoing,
    Partition,
    Raw,
    Reach,
    RebalanceListener,
)
from streams.log.topic_partitions import partition_of

_METADATA_BYTES = 4096


@dataclass(slots=True)
class Group:
    """A consumer group: at most one member at a time."""

    committed: dict[Partition, Committed] = field(default_factory=dict[Partition, Committed])
    member: "MemorySubscriber | None" = None


class MemoryLog:
    """Topics, their partitions and their records. While `down` is true, every call raises Outage."""

    def __init__(self) -> None:
        self.down = False
        self.groups: dict[str, Group] = {}
        self._counts = {topic.name: topic.partitions for topic in all_topics()}
        self._topics: dict[str, list[list[LogRecord]]] = {}
        self._changed = asyncio.Condition()

    def create(self, topic: Topic) -> None:
        """Declare a topic that is not in `schemas.topics`; unknown topics have one partition."""
        self._counts[topic.name] = topic.partitions

    def partitions(self, topic: str) -> list[list[LogRecord]]:
        """Return a topic's partitions with their records."""
        return self._topics.setdefault(topic, [[] for _ in range(self._counts.get(topic, 1))])

    def records(self, topic: str) -> list[LogRecord]:
        """Return all records of a topic, partition by partition."""
        return [record for partition in self.partitions(topic) for record in partition]

    async def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """Append to the partition that Kafka's default partitioner would choose; return the offset."""
        self.check()
        partitions = self.partitions(topic)
        number = 0 if key is None else partition_of(key, len(partitions))
        offset = len(partitions[number])
        partitions[number].append(LogRecord(topic, number, offset, key, value, dict(headers), int(time.time() * 1000)))
        async with self._changed:
            self._changed.notify_all()
        return offset

    async def wait(self, timeout_s: float) -> None:
        """Wait until something is appended, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait()
        except TimeoutError:
            return

    def check(self) -> None:
        """Raise Outage while the log is down."""
        if self.down:
            raise Outage("the log is down", code="kafka_down")


class MemoryPublisher:
    """A Publisher on a MemoryLog."""

    def __init__(self, log: MemoryLog, codec: Codec | None = None) -> None:
        self._log = log
        self._codec = codec or Codec()

    @property
    def healthy(self) -> bool:
        """Whether the log is up."""
        return not self._log.down

    async def publish(self, topic: Topic, key: str, record: object, headers: Headers | None = None) -> int:
        """Write a record and return its offset."""
        return await self._log.append(topic.name, key.encode(), self._codec.encode(record), headers or {})

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """Write bytes as they are and return their offset."""
        return await self._log.append(topic, key, value, headers)

    async def publish_many(self, records: Sequence[Outgoing | Raw]) -> list[int]:
        """Write records and return their offsets in the order given."""
        return [
            await (self.publish(*each) if isinstance(each, Outgoing) else self.publish_raw(*each)) for each in records
        ]


class MemoryTail:
    """A Tail on a MemoryLog."""

    def __init__(self, log: MemoryLog, topic: str) -> None:
        self._log = log
        self._topic = topic

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._topic

    @property
    def healthy(self) -> bool:
        """Whether the log is up."""
        return not self._log.down

    async def end_offsets(self) -> Mapping[int, int]:
        """Return the offset after the last record, by partition."""
        self._log.check()
        return {n: len(records) for n, records in enumerate(self._log.partitions(self._topic))}

    async def batches(self) -> AsyncIterator[tuple[Sequence[LogRecord], bool]]:
        """Yield records as they come."""
        read = [0] * len(self._log.partitions(self._topic))
        first = True
        while True:
            batch: list[LogRecord] = []
            if not self._log.down:
                for number, records in enumerate(self._log.partitions(self._topic)):
                    batch += records[read[number] :]
                    read[number] = len(records)
            if batch or first:
                first = False
                yield batch, True
            else:
                await self._log.wait(0.05)


class MemorySubscriber:
    """A Subscriber on a MemoryLog. A group has one member: a second one takes all partitions from the first."""

    def __init__(self, log: MemoryLog, group: str, topics: Sequence[str]) -> None:
        self._log = log
        self._group = log.groups.setdefault(group, Group())
        self._topics = topics
        self._listener: RebalanceListener | None = None
        self._position: dict[Partition, int] = {}
        self._paused: set[Partition] = set()

    async def start(self, listener: RebalanceListener) -> None:
        """Take over every partition of the topics."""
        self._log.check()
        self._listener = listener
        if self._group.member is not None:
            await self._group.member.lose()
        self._group.member = self
        held = [Partition(t, n) for t in self._topics for n in range(len(self._log.partitions(t)))]
        committed = {p: self._group.committed.get(p) for p in held}
        self._position = {p: c.offset if c is not None else 0 for p, c in committed.items()}
        await listener.revoked(set())
        await listener.assigned(committed)

    async def lose(self) -> None:
        """Give up all partitions, as in a rebalance."""
        assert self._listener is not None
        await self._listener.revoked(set(self._position))
        self._position = {}
        await self._listener.assigned({})

    async def stop(self) -> None:
        """Leave the group."""
        if self._group.member is self:
            self._group.member = None
        self._position = {}

    async def poll(self, timeout_s: float) -> Mapping[Partition, Sequence[LogRecord]]:
        """Return what has come, waiting up to `timeout_s` for something."""
        found = self._take()
        if not found:
            await self._log.wait(timeout_s)
            found = self._take()
        return found

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop reading these partitions."""
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Read these partitions again."""
        self._paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Commit. Raises Outage when the log is down or the partition is no longer held."""
        self._log.check()
        if any(p not in self._position for p in offsets):
            raise Outage("a partition is no longer assigned", code="not_assigned")
        if any(len(c.metadata) > _METADATA_BYTES for c in offsets.values()):
            raise ValueError("metadata is longer than a broker takes")
        self._group.committed.update(offsets)

    async def reach(self, partitions: Iterable[Partition]) -> Mapping[Partition, Reach]:
        """Return how far reading is and where the log ends."""
        self._log.check()
        ends = {p: len(self._log.partitions(p.topic)[p.number]) for p in partitions}
        return {p: Reach(self._position.get(p, 0), end) for p, end in ends.items()}

    def _take(self) -> dict[Partition, Sequence[LogRecord]]:
        if self._log.down:
            return {}
        found: dict[Partition, Sequence[LogRecord]] = {}
        for partition, position in self._position.items():
            if partition not in self._paused:
                records = self._log.partitions(partition.topic)[partition.number][position:]
                if records:
                    found[partition] = records
                    self._position[partition] = position + len(records)
        return found
