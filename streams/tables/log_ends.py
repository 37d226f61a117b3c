"""How far the log goes: the end offsets of the topics that are folded, by default those that make jobs."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import Outage
from schemas.topics import JOB_EVENTS, RESULTS
from streams.redis_keys import Offsets

_ANSWER_TIMEOUT_S = 3.0


class LogEnds(Protocol):
    """Tells where the log ends."""

    async def ends(self, partition: int) -> Offsets:
        """Return the offsets that the next records of a partition will have.

        Raises schemas.errors.Outage when the log cannot tell.
        """
        ...


class KafkaLogEnds:
    """Asks Kafka; keeps one connection, belongs to no consumer group. `topics` are one or two."""

    def __init__(self, bootstrap: str, topics: Sequence[str] = (JOB_EVENTS.name, RESULTS.name)) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def ends(self, partition: int) -> Offsets:
        """See LogEnds. Connects on first use, so that a process can start while Kafka is down."""
        asked = [TopicPartition(topic, partition) for topic in self._topics]
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                consumer = await self._connected()
                found = await consumer.end_offsets(asked)
        except (KafkaError, OSError, TimeoutError) as e:
            raise Outage(
                f"Kafka does not tell where {self._topics[0]}[{partition}] ends: {type(e).__name__}",
                code="kafka_down",
                remedy="wait and try again; see that Kafka runs",
            ) from e
        ends = [found[tp] for tp in asked]
        return Offsets(ends[0], ends[1] if len(ends) > 1 else 0)

    async def stop(self) -> None:
        """Close the connection."""
        async with self._starting:
            if self._consumer is not None:
                await self._consumer.stop()
                self._consumer = None

    async def _connected(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, request_timeout_ms=3_000)
                try:
                    await consumer.start()
                except BaseException:
                    await consumer.stop()
                    raise
                self._consumer = consumer
            return self._consumer
