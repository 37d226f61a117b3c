"""The publisher on Kafka: idempotent, `acks=all`, lz4, no linger, a deadline for each publication.

When a publication misses its deadline the whole producer is given up and a new one is made: aiokafka
would go on trying to deliver what its caller was already told is not on the log.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed, ProducerFenced
from aiokafka.structs import RecordMetadata

from schemas.avro_files import WriterSchema, latest_schema
from schemas.codec import Codec
from schemas.errors import Outage, Permanent
from schemas.events import SchemaRecord
from schemas.topics import MAX_REQUEST_BYTES, SCHEMAS, Topic
from streams.log.bootstrap import client_options
from streams.log.kafka_errors import KAFKA_DOWN, translate
from streams.log.light_producer import LightProducer
from streams.log.protocols import Headers, Outgoing, Raw
from streams.log.publish_spans import in_a_span
from streams.log.record_size import check_size
from streams.logs import get_logger
from streams.metrics import PUBLISH_FAILURES, PUBLISHED
from streams.tasks import background, end_tasks

log = get_logger(__name__)

_RECONNECT_S = 0.5
_MAX_BATCH_BYTES = 256 * 1024  # one request to the broker is in flight at a time; what waits goes together


class KafkaPublisher:
    """A Publisher on Kafka; enter it to connect.

    `delivery_timeout_s` bounds each call as a whole, waiting for a connection included. Entering does
    not fail while the broker is down: it connects in the background as soon as it can. What is published after it was
    left raises Outage.
    """

    def __init__(self, bootstrap: str, *, codec: Codec | None = None, delivery_timeout_s: float = 5) -> None:
        self._bootstrap = bootstrap
        self._codec = codec or Codec()
        self._timeout_s = delivery_timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._connected = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()
        self._announced: set[type] = set()
        self._announcing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._connecting = background(self._connect(), "publisher")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._connected.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        self._connected.set()  # nobody waits for a connection any more
        if self._connecting is not None:
            await end_tasks(self._connecting)
        if self._producer is not None:
            producer, self._producer = self._producer, None
            try:
                async with asyncio.timeout(self._timeout_s):
                    await producer.stop()
            except (TimeoutError, KafkaError, OSError):
                await _abandon(producer)
        await asyncio.gather(*self._closing, return_exceptions=True)

    @property
    def healthy(self) -> bool:
        """Whether the broker took what it was last given."""
        return self._producer is not None

    async def publish(self, topic: Topic, key: str, record: object, headers: Headers | None = None) -> int:
        """Write a record and return its offset."""
        return (await self.publish_many((Outgoing(topic, key, record, headers or {}),)))[0]

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> int:
        """Write bytes as they are and return their offset."""
        return (await self.publish_many((Raw(topic, key, value, headers),)))[0]

    async def publish_many(self, records: Sequence[Outgoing | Raw]) -> list[int]:
        """Write records at the same time and return their offsets in the order given."""
        span, records = in_a_span(records)
        with span:
            return await self._publish(records)

    async def _publish(self, records: Sequence[Outgoing | Raw]) -> list[int]:
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                producer = self._producer or await self._wait_for_producer()
                for each in records:
                    if isinstance(each, Outgoing) and type(each.record) not in self._announced:
                        await self._announce(producer, type(each.record))
                return await self._send(producer, records)
        except Permanent as e:
            PUBLISH_FAILURES.labels(e.code).inc()
            raise
        except (KafkaError, OSError, TimeoutError) as e:
            error = translate(e, f"publishing to {', '.join(sorted({_name(r) for r in records}))}")
            PUBLISH_FAILURES.labels(error.code).inc()
            if producer is not None and (isinstance(error, Outage) and error.code == KAFKA_DOWN):
                self._give_up(producer, error)
            raise error from e

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[Outgoing | Raw]) -> list[int]:
        ready: list[tuple[str, bytes | None, bytes | None, Headers]] = []
        for each in records:
            own = isinstance(each, Outgoing)
            key, value = (each.key.encode(), self._codec.encode(each.record)) if own else (each.key, each.value)
            check_size(each.topic, key, value, each.headers)
            ready.append((_name(each), key, value, each.headers))
        pending: list[asyncio.Future[RecordMetadata]] = []
        try:
            for name, key, value, headers in ready:
                pending.append(await producer.send(name, value, key, headers=[*headers.items()]))
            offsets = [(await one).offset for one in pending]
        except BaseException:
            for one in pending:
                one.add_done_callback(_look_at)
            raise
        for each in records:
            PUBLISHED.labels(_name(each)).inc()
        return offsets

    async def _announce(self, producer: AIOKafkaProducer, kind: type) -> None:
        """Put the writer's schema on `schemas`, acknowledged, before a record of it is written."""
        async with self._announcing:
            for each in (SchemaRecord, kind):
                if each not in self._announced:
                    schema = latest_schema(each.__name__)
                    await self._send(producer, (_schema_record(schema),))
                    self._announced.add(each)

    async def _wait_for_producer(self) -> AIOKafkaProducer:
        while self._producer is None:
            if self._closed:
                raise ProducerClosed
            await self._connected.wait()
        return self._producer

    def _give_up(self, producer: AIOKafkaProducer, error: Outage) -> None:
        if self._producer is not producer:
            return  # another publication noticed first
        log.warning("kafka.producer_given_up", code=error.code, reason=error.message)
        self._producer = None
        closing = asyncio.create_task(_abandon(producer))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        if not self._closed:
            self._connected.clear()
            self._connecting = background(self._connect(), "publisher")

    async def _connect(self) -> None:
        while True:
            producer = LightProducer(
                **client_options(self._bootstrap),
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=_MAX_BATCH_BYTES,
                max_request_size=MAX_REQUEST_BYTES,
                request_timeout_ms=max(1, int(self._timeout_s * 1000)),
            )
            try:
                async with asyncio.timeout(self._timeout_s):
                    await producer.start()
            except (KafkaError, OSError, TimeoutError):
                await _abandon(producer)
                await asyncio.sleep(_RECONNECT_S)
            except BaseException:
                await _abandon(producer)
                raise
            else:
                self._producer = producer
                self._connected.set()
                return


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer without the flush that `stop` waits for."""
    with contextlib.suppress(KafkaError, OSError, TimeoutError, ProducerFenced, asyncio.CancelledError):
        async with asyncio.timeout(10):
            await producer._sender.close()  # pyright: ignore[reportPrivateUsage] - nothing public ends it unflushed
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(10):
            producer._closed = True  # pyright: ignore[reportPrivateUsage] - else it warns when collected
            await producer.client.close()


def _look_at(future: asyncio.Future[RecordMetadata]) -> None:
    # An exception nobody reads would be reported as a programming error.
    if not future.cancelled():
        future.exception()


def _name(record: Outgoing | Raw) -> str:
    return record.topic.name if isinstance(record, Outgoing) else record.topic


def _schema_record(schema: WriterSchema) -> Outgoing:
    record = SchemaRecord(schema.fingerprint, schema.name, schema.source)
    return Outgoing(SCHEMAS, schema.fingerprint, record, {})
