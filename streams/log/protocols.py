"""What the gateway asks of a log. Implemented on Kafka and, for tests, in memory."""

from typing import Protocol

from schemas.topics import Topic


class Publisher(Protocol):
    """Writes records to topics. `acks=all`, idempotent; a returned call means acknowledged."""

    async def publish(self, topic: Topic, key: str, record: object, headers: dict[str, bytes] | None = None) -> int:
        """Write a record and return its offset.

        Raises schemas.errors.Outage when no acknowledgement came within the delivery deadline.
        """
        ...

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes | None, headers: dict[str, bytes]) -> int:
        """Write bytes as they are (dead letters, tombstones) and return their offset."""
        ...
