"""A service's batch door: produces requests, reads their answers and rejections `read_committed`."""

import asyncio
from collections.abc import AsyncGenerator, Container, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import RecordMetadata

from schemas.avro_files import latest_schema
from schemas.batch import BatchAnswer, BatchRejection, BatchRequest
from schemas.codec import Codec, UnknownFingerprint
from schemas.errors import Outage
from schemas.ids import keyed_job_id
from schemas.submissions import BATCH
from schemas.topics import MAX_RECORD_BYTES, SCHEMAS, batch_door
from streams.log.admin import kafka_admin
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.kafka_errors import translated
from streams.log.kafka_tail import KafkaTail, key_text
from streams.log.reading import open_reader
from streams.log.schema_reader import SchemaReader
from streams.log.schema_registry import SchemaRegistry, framed
from streams.log.topic_partitions import partitions_of

_BATCH_BYTES = 256 * 1024
_POLL_MS = 250
_AT_ONCE = 2_000
_CALL_S = 20.0


class Place(NamedTuple):
    """Where a request stands in the door; a rejection names it."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Which places a door has now; `cluster` is the Kafka's own id, `kept` are the offsets by partition."""

    cluster: str
    kept: Mapping[int, range]

    def __contains__(self, place: Place) -> bool:
        return place.offset in self.kept.get(place.partition, ())


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer or a rejection, with the reply headers of its request."""

    told: BatchAnswer | BatchRejection
    headers: Mapping[str, bytes]


class DoorClient:
    """Speaks to the batch door of `service`; enter it to connect.

    With the URL of a schema `registry` requests are in its wire format: their schema is registered under the door's
    topic. The gateway has to know the same registry, and answers in single-object encoding as ever.

    Every call raises schemas.errors.Outage when Kafka does not answer or there is no such door (`no_door`),
    and Permanent when the broker refuses the record or the client, the registry the schema, or when a reply's schema is
    known nowhere.
    """

    def __init__(self, bootstrap: str, service: str, registry: str = "") -> None:
        self._bootstrap = bootstrap
        self._registry = registry
        self._schema_id: int | None = None
        self.service = service
        self._door = batch_door(service)
        self._codec = Codec()
        self._stack = AsyncExitStack()
        self._producer: AIOKafkaProducer | None = None
        self._schemas: SchemaReader | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def job_id(self, request_id: str) -> str:
        """Return the id of the job that a request makes: known before it is sent."""
        return keyed_job_id(self.service, BATCH, request_id)

    async def send(self, requests: Sequence[BatchRequest]) -> list[Place]:
        """Produce the requests; they are on the log when this returns, at these places, in the order given."""
        assert self._producer is not None, "enter the client first"
        name = self._door.requests.name
        pending: list[asyncio.Future[RecordMetadata]] = []
        with translated(f"producing to {name}"):
            for request in requests:
                value = self._codec.encode(request)
                if self._schema_id is not None:
                    value = framed(value, self._schema_id)
                pending.append(await self._producer.send(name, value, key=request.request_id.encode()))
            done = await asyncio.gather(*pending)
        return [Place(each.partition, each.offset) for each in done]

    async def standing(self) -> Standing:
        """Return which places of the door there are: retention removes the first, and another Kafka has others."""
        name = self._door.requests.name
        async with kafka_admin(self._bootstrap) as admin:
            cluster = await admin.cluster_id()
        with translated(f"looking at {name}"):
            async with asyncio.timeout(_CALL_S), open_reader(self._bootstrap, f"looking at {name}") as reader:
                every = await partitions_of(reader, name)
                first, end = await reader.beginning_offsets(every), await reader.end_offsets(every)
        return Standing(cluster, {tp.partition: range(first[tp], end[tp]) for tp in every})

    async def replies(self, job_ids: Container[str] | None = None) -> AsyncGenerator[tuple[Sequence[Reply], bool]]:
        """Yield what was told, from the first that retention kept, then as it comes; never ends by itself.

        With each batch: whether everything that was there at the start has been yielded. With `job_ids`
        only answers of these jobs; rejections are always yielded, for their request may be unreadable.
        """
        consumer = AIOKafkaConsumer(
            self._door.results.name,  # without a group: nothing is committed, all partitions are read
            self._door.rejected.name,
            **client_options(self._bootstrap),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        try:
            with translated(f"reading {self._door.results.name}"):
                async with asyncio.timeout(_CALL_S):
                    await consumer.start()
                    behind = await consumer.end_offsets(list(consumer.assignment()))
            while True:
                with translated(f"reading {self._door.results.name}"):
                    behind = {tp: end for tp, end in behind.items() if await consumer.position(tp) < end}
                    fetched = await consumer.getmany(timeout_ms=_POLL_MS if behind else 0, max_records=_AT_ONCE)
                    if not fetched and not behind:
                        yield [], True
                        fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
                yield await self._read(fetched, job_ids), False
        finally:
            await close_client(consumer.stop(), of=self._door.results.name)

    async def ask(self, requests: Sequence[BatchRequest]) -> AsyncGenerator[Reply]:
        """Send the requests and yield one reply for each, as they come; ends with the last.

        A request that was answered before, with the same content, is answered from the log.
        """
        places = {place: r.request_id for place, r in zip(await self.send(requests), requests, strict=True)}
        left = {r.request_id for r in requests}
        job_ids = {self.job_id(request_id) for request_id in left}
        if not left:
            return
        async with aclosing(self.replies(job_ids)) as batches:
            async for batch, _ in batches:
                for reply in batch:
                    request_id = _asked_by(reply, places)
                    if request_id in left:
                        left.discard(request_id)
                        yield reply
                if not left:
                    return

    async def _start(self) -> None:
        consumer = AIOKafkaConsumer(**client_options(self._bootstrap))
        try:
            with translated(f"connecting to Kafka at {self._bootstrap}"):
                async with asyncio.timeout(_CALL_S):
                    await consumer.start()
                    names = await consumer.topics()
        finally:
            await close_client(consumer.stop(), of=self.service)
        missing = [topic.name for topic in self._door.topics if topic.name not in names]
        if missing:
            raise Outage(
                f"the service {self.service} has no batch door: {missing[0]} is not there",
                code="no_door",
                remedy=f"open it: ./gateway services create {self.service} --batch (or: set)",
            )
        if self._registry:
            async with SchemaRegistry(self._registry) as registry:
                subject = f"{self._door.requests.name}-value"
                self._schema_id = await registry.register(subject, latest_schema(BatchRequest.__name__).source)
        producer = AIOKafkaProducer(
            **client_options(self._bootstrap),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=5,
            max_batch_size=_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=int(_CALL_S * 1000),
        )
        self._stack.push_async_callback(lambda: close_client(producer.stop(), of=self.service))
        with translated(f"connecting to Kafka at {self._bootstrap}"):
            await producer.start()
        self._producer = producer

    async def _read(
        self, fetched: Mapping[TopicPartition, Sequence[Any]], job_ids: Container[str] | None
    ) -> list[Reply]:
        found: list[Reply] = []
        for tp, records in fetched.items():
            kind = BatchAnswer if tp.topic == self._door.results.name else BatchRejection
            for record in records:
                # The key is the job: what is not asked for need not be decoded.
                if kind is BatchAnswer and job_ids is not None and key_text(record.key) not in job_ids:
                    continue
                found.append(Reply(await self._decoded(record.value or b"", kind), dict(record.headers)))
        return found

    async def _decoded(self, value: bytes, kind: type[BatchAnswer | BatchRejection]) -> BatchAnswer | BatchRejection:
        try:
            return self._codec.decode(value, kind)
        except UnknownFingerprint:
            # By a gateway that is newer than this client: its schema was put on the topic before it was used.
            if self._schemas is None:
                tail = KafkaTail(self._bootstrap, SCHEMAS.name)
                self._schemas = await self._stack.enter_async_context(SchemaReader(tail, self._codec))
            return await self._schemas.decode(value, kind, patience_s=_CALL_S)


def _asked_by(reply: Reply, places: Mapping[Place, str]) -> str | None:
    """Return the request that a reply is for. A rejection may be of an earlier record with the same id."""
    told = reply.told
    if isinstance(told, BatchAnswer):
        return told.request_id
    return places.get(Place(told.partition, told.offset))
