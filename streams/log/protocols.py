"""What the gateway asks of a log. Implemented on Kafka and, for tests, in memory."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol, TypeVar

from schemas.topics import Topic

T = TypeVar("T")

Headers = Mapping[str, bytes]


class LogRecord(NamedTuple):
    """One record as it stands on the log; `timestamp_ms` is the writer's time, or by `Topic.broker_time` the log's."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class Outgoing(NamedTuple):
    """A record to be written."""

    topic: Topic
    key: str
    record: object
    headers: Headers


class Raw(NamedTuple):
    """Bytes to be written as they are (dead letters, tombstones)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Publisher(Protocol):
    """Writes records to topics. `acks=all`, idempotent; a returned call means acknowledged.

    Every call raises schemas.errors.Outage when no acknowledgement came within the delivery deadline,
    and Permanent when the broker will never take the record (too large, not allowed).
    """

    @property
    def healthy(self) -> bool:
        """Whether the log took what it was last given; False means that a publish would have to wait."""
        ...

    async def publish(self, topic: Topic, key: str, record: object, headers: Headers | None = None) -> int:
        """Write a record and return its offset."""
        ...

    async def publish_many(self, records: Sequence[Outgoing | Raw]) -> list[int]:
        """Write records at the same time, return their offsets in the order given; any failure fails the call."""
        ...

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """Write bytes as they are (dead letters, tombstones) and return their offset."""
        ...


class Decoder(Protocol):
    """Turns bytes into records, looking further than the schemas it shipped with where it can."""

    async def decode(self, data: bytes, kind: type[T]) -> T:
        """Decode a record of type `kind`.

        Raises schemas.codec.UnknownFingerprint or another schemas.errors.UndecodableRecord, and schemas.errors.Outage
        while it cannot tell whether there is a schema.
        """
        ...


class Tail(Protocol):
    """Reads a whole topic from its start and follows it, without a consumer group."""

    @property
    def topic(self) -> str:
        """The topic's name."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether the log answers."""
        ...

    def batches(self) -> AsyncIterator[tuple[Sequence[LogRecord], bool]]:
        """Yield records as they come, with whether the end that was there at the start is reached.

        Never ends by itself; an outage only makes it wait. The first batch may be empty.
        """
        ...

    async def end_offsets(self) -> Mapping[int, int]:
        """Return the offset after the last record, by partition. Raises schemas.errors.Outage."""
        ...


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class Committed(NamedTuple):
    """What a group committed for a partition: the next offset to read, and a note of up to 4 KiB."""

    offset: int
    metadata: str


class Reach(NamedTuple):
    """The next offset that a reader gets, and the offset after the last record."""

    position: int
    end: int


class RebalanceListener(Protocol):
    """Told about every change of the assignment; all partitions are revoked before each assignment."""

    async def revoked(self, partitions: AbstractSet[Partition]) -> None:
        """Last chance to commit for these partitions; some may come back with `assigned`."""
        ...

    async def assigned(self, partitions: Mapping[Partition, Committed | None]) -> None:
        """The partitions held from now on, with what was committed for them; reading restarts there."""
        ...


class Subscriber(Protocol):
    """A member of a consumer group. Commits are the caller's; reading starts at the earliest record."""

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group. Raises schemas.errors.Outage when the log does not answer."""
        ...

    async def stop(self) -> None:
        """Leave the group, without a commit."""
        ...

    async def poll(self, timeout_s: float) -> Mapping[Partition, Sequence[LogRecord]]:
        """Return what has come, waiting up to `timeout_s` for something."""
        ...

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop reading these partitions; what is not assigned is passed over."""
        ...

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Read these partitions again."""
        ...

    async def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Commit. Raises schemas.errors.Outage when it did not take place (log down, or no longer a member)."""
        ...

    async def reach(self, partitions: Iterable[Partition]) -> Mapping[Partition, Reach]:
        """Return how far reading is and where the log ends. Raises schemas.errors.Outage."""
        ...
