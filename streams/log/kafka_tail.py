"""Reads a whole Kafka topic from its start and follows it, through broker restarts."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from schemas.errors import GatewayError
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.kafka_errors import translate, translated
from streams.log.protocols import LogRecord
from streams.logs import get_logger, places_of

log = get_logger(__name__)

_POLL_S = 1.0
_RECONNECT_S = 0.5
_CALL_S = 5.0
# How often the broker is asked for the end of the topic. aiokafka says nothing when its connection
# is dead, and may stall for good after a broker's restart: so we ask, and connect anew.
_PROBE_S = 3.0
_STALLED_PROBES = 3


class KafkaTail:
    """A Tail on Kafka. Offsets that were yielded are not yielded again after a reconnection."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._next: dict[int, int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._connected = asyncio.Event()
        self._healthy = False

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._topic

    @property
    def healthy(self) -> bool:
        """Whether the broker answered when it was last asked."""
        return self._healthy

    async def end_offsets(self) -> Mapping[int, int]:
        """Return the offset after the last record, by partition."""
        with translated(f"reading the end of {self._topic}"):
            async with asyncio.timeout(_CALL_S):
                await self._connected.wait()
                if self._consumer is None:
                    raise ConnectionError("the connection was just lost")
                return await self._ends(self._consumer)

    async def batches(self) -> AsyncIterator[tuple[Sequence[LogRecord], bool]]:
        """Yield records as they come, with whether the end that was there at the start is reached."""
        caught_up = False
        while True:
            try:
                async for batch, reached in self._connection():
                    caught_up = caught_up or reached
                    yield batch, caught_up
            except (KafkaError, OSError, TimeoutError) as e:
                error = translate(e, f"reading {self._topic}")
                log.warning("tail.reconnects", topic=self._topic, code=error.code, reason=error.message)
            except _StalledError as e:
                log.warning("tail.reconnects", topic=self._topic, code=e.code, reason=e.message)
            except Exception as e:
                # aiokafka raises more than its own errors when a broker goes away in the middle of a call.
                # A reader that ended here would serve what it last knew for ever.
                log.error(
                    "tail.reconnects",
                    topic=self._topic,
                    code="unexpected",
                    reason=type(e).__name__,
                    places=places_of(e),
                )
            self._healthy = False
            await asyncio.sleep(_RECONNECT_S)

    async def _connection(self) -> AsyncGenerator[tuple[Sequence[LogRecord], bool]]:
        consumer = AIOKafkaConsumer(
            self._topic,  # without a group: all partitions are assigned at once
            **client_options(self._bootstrap),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=int(_CALL_S * 1000),
            fetch_max_wait_ms=500,
        )
        try:
            async with asyncio.timeout(2 * _CALL_S):
                await consumer.start()
                for tp in consumer.assignment():
                    if tp.partition in self._next:
                        consumer.seek(tp, self._next[tp.partition])
                self._consumer = consumer
                self._connected.set()
                first_ends = await self._ends(consumer)
            self._healthy = True
            yield [], await self._reached(consumer, first_ends)
            async for batch in self._poll(consumer):
                yield batch, await self._reached(consumer, first_ends)
        finally:
            self._consumer = None
            self._connected.clear()
            await close_client(consumer.stop(), of=self._topic)

    async def _poll(self, consumer: AIOKafkaConsumer) -> AsyncGenerator[Sequence[LogRecord]]:
        probed_at, stalled = time.monotonic(), 0
        while True:
            fetched = await consumer.getmany(timeout_ms=int(_POLL_S * 1000))
            for tp, records in fetched.items():
                self._next[tp.partition] = records[-1].offset + 1
                yield [to_log_record(r) for r in records]
            if fetched:
                stalled = 0
            if time.monotonic() - probed_at >= _PROBE_S:
                async with asyncio.timeout(_CALL_S):
                    ends = await self._ends(consumer)
                behind = not fetched and any(self._next.get(n, 0) < end for n, end in ends.items())
                # A partition whose records were all deleted is behind for ever, and rightly silent.
                stalled = stalled + 1 if behind and not await self._reached(consumer, ends) else 0
                probed_at = time.monotonic()
                if stalled >= _STALLED_PROBES:
                    raise _StalledError(f"{self._topic}: records are there, none came", code="stalled")

    async def _reached(self, consumer: AIOKafkaConsumer, ends: Mapping[int, int]) -> bool:
        for number, end in ends.items():
            if self._next.get(number, 0) < end:
                async with asyncio.timeout(_CALL_S):
                    position = await consumer.position(TopicPartition(self._topic, number))
                if position < end:
                    return False
        return True

    async def _ends(self, consumer: AIOKafkaConsumer) -> Mapping[int, int]:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        return {tp.partition: offset for tp, offset in ends.items()}


class _StalledError(GatewayError):
    """The broker has records that this consumer does not get."""


def key_text(key: bytes | None) -> str:
    """Return a record's key as text, whatever somebody put there: what is no text is the key of nothing."""
    return (key or b"").decode(errors="replace")


def to_log_record(record: ConsumerRecord[bytes | None, bytes | None]) -> LogRecord:
    """Return aiokafka's record as ours. A header without a value, as foreign clients may send, is none."""
    headers = cast("Sequence[tuple[str, bytes | None]]", record.headers)
    return LogRecord(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        {name: value for name, value in headers if value is not None} if headers else {},
        record.timestamp,
    )
