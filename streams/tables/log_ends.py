"""From where to where the log goes: the offsets of the topics that are folded, by default those that make jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import Outage
from schemas.topics import JOB_EVENTS, RESULTS
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.redis_keys import Offsets

_ANSWER_TIMEOUT_S = 3.0
_NAME = "the ends of the log"

_LookUp = Callable[[AIOKafkaConsumer, list[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]


class LogEnds(Protocol):
    """Tells where the log ends."""

    async def ends(self, partition: int) -> Offsets:
        """Return the offsets that the next records of a partition will have.

        Raises schemas.errors.Outage when the log cannot tell.
        """
        ...

    async def all_ends(self, partitions: Sequence[int]) -> dict[int, Offsets]:
        """Return the ends of several partitions, asked for at once; raises as `ends` does."""
        ...

    async def begins(self, partition: int) -> Offsets:
        """Return the offsets of the oldest records that a partition still has, or its ends where it has none.

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
        return (await self.all_ends([partition]))[partition]

    async def all_ends(self, partitions: Sequence[int]) -> dict[int, Offsets]:
        """See LogEnds."""
        return await self._look_up(partitions, "end", _end_offsets)

    async def begins(self, partition: int) -> Offsets:
        """See LogEnds."""
        found = await self._look_up([partition], "begin", _beginning_offsets)
        return found[partition]

    async def _look_up(self, partitions: Sequence[int], what: str, look_up: _LookUp) -> dict[int, Offsets]:
        asked = [TopicPartition(topic, partition) for partition in partitions for topic in self._topics]
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                found = await look_up(await self._connected(), asked)
        except (KafkaError, OSError, TimeoutError) as e:
            raise Outage(
                f"Kafka does not tell where {self._topics[0]}{list(partitions)} {what}: {type(e).__name__}",
                code="kafka_down",
                remedy="wait and try again; see that Kafka runs",
            ) from e
        held = {p: [found[TopicPartition(topic, p)] for topic in self._topics] for p in partitions}
        return {p: Offsets(at[0], at[1] if len(at) > 1 else 0) for p, at in held.items()}

    async def stop(self) -> None:
        """Close the connection."""
        async with self._starting:
            if self._consumer is not None:
                await close_client(self._consumer.stop(), of=_NAME)
                self._consumer = None

    async def _connected(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(**client_options(self._bootstrap), request_timeout_ms=3_000)
                try:
                    await consumer.start()
                except BaseException:
                    await close_client(consumer.stop(), of=_NAME, timeout_s=1.0)  # callers wait
                    raise
                self._consumer = consumer
            return self._consumer


async def _end_offsets(consumer: AIOKafkaConsumer, asked: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
    return await consumer.end_offsets(asked)


async def _beginning_offsets(
    consumer: AIOKafkaConsumer, asked: Sequence[TopicPartition]
) -> Mapping[TopicPartition, int]:
    return await consumer.beginning_offsets(asked)
