"""Reads every door: checks each record and writes an entry of it, keyed by its job, then commits.

A crash between the two repeats entries, which the book does not mind. Doors are looked for every second.
A door whose service has used up a quota waits, from the record that found it so; the others go on. A record that
alone takes more than the whole quota would hold its door up for good: it is rejected.
"""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from schemas.batch import BatchEntry
from schemas.codec import Codec
from schemas.quotas import NotAllowed, QuotaExceeded
from schemas.topics import BATCH_ENTRIES, service_of_door
from streams.admission.entries import EntryMaker, not_allowed
from streams.admission.reservations import Reserver
from streams.admission.spans import Steps
from streams.admission.writing import Write, bulk_producer, write_all
from streams.log.admin import kafka_admin
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.group_metrics import CountedRebalances, committed
from streams.log.kafka_tail import to_log_record
from streams.log.protocols import Headers
from streams.logs import get_logger
from streams.metrics import BATCH_READ
from streams.services import Services
from streams.tables.partitions import job_partition

log = get_logger(__name__)

Fetched = Mapping[TopicPartition, list[ConsumerRecord[bytes | None, bytes | None]]]

GROUP = "admission"
_LOOK_S = 1.0
_POLL_MS = 250
_AT_ONCE = 1_000
_SESSION_MS = 6_000
_LONGEST_WAIT_S = 2.0
_LONGEST_PAUSE_S = 0.5
_CALL_S = 30.0


class DoorReader:
    """Reads the doors until `stop`; raises when the log fails it, to be started again."""

    def __init__(
        self,
        bootstrap: str,
        codec: Codec,
        maker: EntryMaker,
        services: Services,
        reserver: Reserver,
    ) -> None:
        self._bootstrap = bootstrap
        self._codec = codec
        self._maker = maker
        self._services = services
        self._reserver = reserver
        self._waiting: dict[TopicPartition, float] = {}
        self.topics: frozenset[str] = frozenset()

    async def run(self, stop: asyncio.Event) -> None:
        """Read until told to stop."""
        consumer = AIOKafkaConsumer(
            **client_options(self._bootstrap),
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=1_500,
            max_partition_fetch_bytes=2 * 1024 * 1024,
            fetch_max_wait_ms=250,
        )
        producer = bulk_producer(self._bootstrap)
        async with kafka_admin(self._bootstrap) as admin:
            try:
                await consumer.start()
                await producer.start()
                loop, looked, doors = asyncio.get_running_loop(), 0.0, frozenset[str]()
                while not stop.is_set():
                    if loop.time() - looked >= _LOOK_S:
                        self.topics, looked = await admin.topic_names(), loop.time()
                        found = frozenset(name for name in self.topics if service_of_door(name) is not None)
                        if found != doors:
                            doors = found
                            log.info("admission.doors", count=len(doors))
                            if doors:
                                consumer.subscribe(sorted(doors), listener=CountedRebalances(GROUP))
                            else:
                                consumer.unsubscribe()
                    if not doors:
                        await asyncio.sleep(_POLL_MS / 1000)
                        continue
                    self._go_on(consumer, loop.time())
                    fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
                    if fetched:
                        began = loop.time()
                        await self._admit(consumer, producer, fetched)
                        # Half of the time is the others': nobody waits at a batch door.
                        await asyncio.sleep(min(loop.time() - began, _LONGEST_PAUSE_S))
            finally:
                await close_client(consumer.stop(), of=GROUP)
                await close_client(producer.stop(), of=GROUP)

    async def _admit(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, fetched: Fetched) -> None:
        steps = Steps()
        with steps:
            await self._admit_in(steps, consumer, producer, fetched)

    async def _admit_in(
        self, steps: Steps, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, fetched: Fetched
    ) -> None:
        # 1. check; 2. write the entries, acknowledged; 3. commit. A crash before 3 repeats 1 and 2.
        writes: list[Write] = []
        done: dict[TopicPartition, int] = {}
        for tp, records in fetched.items():
            service = service_of_door(tp.topic) or ""
            is_open = await self._is_open(service)
            for raw in records:
                record = to_log_record(raw)
                entry, model = await self._maker.entry(service, record, is_open=is_open)
                if entry.refusal is None:
                    try:
                        await self._reserver.reserve(entry, model)
                    except NotAllowed as e:
                        entry = not_allowed(entry, e)
                    except QuotaExceeded as e:
                        if not e.never:
                            self._wait(consumer, tp, record.offset, e.retry_after_s)
                            break
                        entry = not_allowed(entry, e)
                writes.append(self._write(entry, steps.read(record, service, GROUP)))
                done[tp] = record.offset + 1
                BATCH_READ.labels(service).inc()
        if done:
            async with asyncio.timeout(_CALL_S):  # aiokafka may wait for ever after a broker's death
                await write_all(producer, writes)
                await consumer.commit(done)
            committed(GROUP)

    def _wait(self, consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int, seconds: float) -> None:
        # Not for the whole time that was told: a quota may be raised meanwhile.
        consumer.seek(tp, offset)
        consumer.pause(tp)
        self._waiting[tp] = asyncio.get_running_loop().time() + min(seconds, _LONGEST_WAIT_S)

    def _go_on(self, consumer: AIOKafkaConsumer, now: float) -> None:
        for tp in [tp for tp, until in self._waiting.items() if until <= now]:
            del self._waiting[tp]
            if tp in consumer.assignment():
                consumer.resume(tp)

    def _write(self, entry: BatchEntry, trace: Headers) -> Write:
        job_id = entry.job.job_id
        value = self._codec.encode(entry)
        return Write(BATCH_ENTRIES.name, job_partition(job_id), job_id.encode(), value, [*trace.items()])

    async def _is_open(self, service: str) -> bool:
        if service not in self._services.with_batch_door():
            await self._services.refresh()
        return service in self._services.with_batch_door()
