"""Reads every door: checks each record and writes an entry of it, keyed by its job, then commits.

A crash between the two repeats entries, which the book does not mind. Doors are looked for every second.
A door whose service has used up a quota waits, from the record that found it so; the others go on. So does one with a
record that needs a schema registry which is away. A record that alone takes more than the whole quota would hold its
door up for good: it is rejected. So is one that has waited for its quota so long that its topic is about to drop it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.batch import BatchEntry
from schemas.codec import Codec
from schemas.errors import Outage, Permanent
from schemas.quotas import NotAllowed, QuotaExceeded
from schemas.topics import BATCH_ENTRIES, LONGEST_DOOR_WAIT, service_of_door
from streams.admission.entries import EntryMaker, not_allowed, unforeseen, waited_in_vain
from streams.admission.reservations import Reserver
from streams.admission.spans import Steps
from streams.admission.writing import Write, bulk_producer, write_all
from streams.log.admin import kafka_admin
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.garbled import read_garbled
from streams.log.group_metrics import CountedRebalances, committed
from streams.log.kafka_tail import to_log_record
from streams.log.protocols import Headers, LogRecord
from streams.log.record_size import check_size
from streams.log.schema_registry import RegistryDown
from streams.logs import get_logger
from streams.metrics import BATCH_DOOR_WAITING, BATCH_READ
from streams.services import Services
from streams.tables.partitions import job_partition
from streams.tasks import gathered

log = get_logger(__name__)

Fetched = Mapping[TopicPartition, list[LogRecord]]

GROUP = "admission"
_LOOK_S = 1.0
_POLL_MS = 250
_AT_ONCE = 1_000
_SESSION_MS = 6_000
_LONGEST_WAIT_S = 2.0
_LONGEST_PAUSE_S = 0.5
_CALL_S = 30.0
# Fetches as large as this follow one another only where many requests stand in the doors.
_MANY = _AT_ONCE // 4
_STILL_MANY_S = 1.0
_CHECKED_AT_ONCE = 128
_CHECKERS = 32
# Far below the 300 s after which who does not poll is taken for dead; one more group of records may come on top.
_CHECKING_S = 20.0
_LONGEST_DOOR_WAIT_MS = LONGEST_DOOR_WAIT.total_seconds() * 1000


class _Stop(NamedTuple):
    """Where a partition's records are left for later; with a wait, not before that many seconds."""

    offset: int
    wait_s: float = 0.0
    for_quota: bool = False


_Checked = tuple[BatchEntry, str] | RegistryDown
_Entries = tuple[list[tuple[LogRecord, BatchEntry]], _Stop | None]


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
        self._waited: set[TopicPartition] = set()
        self._many_at = -_STILL_MANY_S
        self.topics: frozenset[str] = frozenset()

    def has_many(self) -> bool:
        """Tell whether many requests stood in the doors a moment ago."""
        return time.monotonic() - self._many_at < _STILL_MANY_S

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
                    fetched = await self._fetch(consumer)
                    if fetched:
                        began = loop.time()
                        if sum(map(len, fetched.values())) >= _MANY:
                            self._many_at = time.monotonic()
                        await self._admit(consumer, producer, fetched)
                        # Half of the time is the others': nobody waits at a batch door.
                        await asyncio.sleep(min(loop.time() - began, _LONGEST_PAUSE_S))
            finally:
                await close_client(consumer.stop(), of=GROUP)
                await close_client(producer.stop(), of=GROUP)

    async def _fetch(self, consumer: AIOKafkaConsumer) -> Fetched:
        try:
            fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        except UnicodeDecodeError:
            return await self._fetch_garbled(consumer)
        return {tp: [to_log_record(record) for record in records] for tp, records in fetched.items()}

    async def _fetch_garbled(self, consumer: AIOKafkaConsumer) -> Fetched:
        """Read on in another way, from what was committed: what else was fetched has gone with the error."""
        found: dict[TopicPartition, list[LogRecord]] = {}
        for tp in sorted(consumer.assignment() - self._waiting.keys()):
            at = await consumer.committed(tp)
            records, _ = await asyncio.to_thread(read_garbled, self._bootstrap, tp.topic, tp.partition, at, _AT_ONCE)
            if records:
                found[tp] = records
                consumer.seek(tp, records[-1].offset + 1)
            elif at is not None:
                consumer.seek(tp, at)
            else:
                await consumer.seek_to_beginning(tp)
        log.warning("admission.garbled_headers", records=sum(map(len, found.values())))
        return found

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
        until = asyncio.get_running_loop().time() + _CHECKING_S
        for tp, records in fetched.items():
            entries, stopped_at = await self._entries(tp, records, until)
            if stopped_at is not None:
                consumer.seek(tp, stopped_at.offset)
                if stopped_at.wait_s:
                    consumer.pause(tp)
                    if stopped_at.for_quota:
                        BATCH_DOOR_WAITING.labels(service_of_door(tp.topic) or "").set(1)
                    self._waiting[tp] = asyncio.get_running_loop().time() + stopped_at.wait_s
            for record, entry in entries:
                writes.append(self._write(entry, steps.read(record, entry.job.service, GROUP)))
                done[tp] = record.offset + 1
        if done:
            async with asyncio.timeout(_CALL_S):  # aiokafka may wait for ever after a broker's death
                await write_all(producer, writes)
                await consumer.commit(done)
            committed(GROUP)

    async def _entries(self, tp: TopicPartition, records: Sequence[LogRecord], until: float) -> _Entries:
        """Return the entries of a partition's records, in order, and where it stops before their end, if it does."""
        service = service_of_door(tp.topic) or ""
        is_open = await self._is_open(service)
        made: list[tuple[LogRecord, BatchEntry]] = []
        # Whoever waited for a quota may have to wait again: then what follows need not be checked.
        size = 1 if tp in self._waited else _CHECKED_AT_ONCE
        while records:
            if asyncio.get_running_loop().time() >= until:
                return made, _Stop(records[0].offset)
            some, records = records[:size], records[size:]
            size = _CHECKED_AT_ONCE
            checked = await self._checked(service, some, is_open=is_open)
            for record, found in zip(some, checked, strict=True):
                if isinstance(found, RegistryDown):
                    log.warning("admission.waits", door=tp.topic, code=found.code, reason=found.message)
                    self._waited.add(tp)
                    return made, _Stop(record.offset, _LONGEST_WAIT_S)
                allowed = await self._allowed(record, *found)
                if isinstance(allowed, _Stop):
                    self._waited.add(tp)
                    return made, allowed
                self._waited.discard(tp)
                made.append((record, allowed))
                BATCH_READ.labels(service).inc()
        return made, None

    async def _checked(self, service: str, records: Sequence[LogRecord], *, is_open: bool) -> Sequence[_Checked]:
        """Check records at the same time: with files among them, it is the blob store's answers that take time."""
        found: dict[int, _Checked] = {}
        left = iter(enumerate(records))

        async def check() -> None:
            for n, record in left:  # shared by all, and a task for each record would cost more than most checks
                try:
                    found[n] = await self._maker.entry(service, record, is_open=is_open)
                except RegistryDown as e:  # records that need none are not to wait for it
                    found[n] = e

        await gathered([check() for _ in range(min(len(records), _CHECKERS))])
        return [found[n] for n in range(len(records))]

    async def _allowed(self, record: LogRecord, entry: BatchEntry, model: str) -> BatchEntry | _Stop:
        """Return the entry as the service's quotas leave it; where they let it wait, where and how long."""
        if entry.refusal is not None:
            return entry
        try:
            entry = self._reserver.within_budget(entry)
            ask = self._reserver.ask(entry, model)
        except Exception as e:
            return not_allowed(entry, unforeseen(record, e))
        try:
            await self._reserver.reserve(ask)
        except NotAllowed as e:
            return not_allowed(entry, e)
        except QuotaExceeded as e:
            if e.never:
                return not_allowed(entry, e)
            if entry.job.created_at_ms - record.timestamp_ms < _LONGEST_DOOR_WAIT_MS:
                # Not for the whole time that was told: a quota may be raised meanwhile.
                return _Stop(record.offset, min(e.retry_after_s, _LONGEST_WAIT_S), for_quota=True)
            return not_allowed(entry, waited_in_vain(e, LONGEST_DOOR_WAIT.days))
        return entry

    def _go_on(self, consumer: AIOKafkaConsumer, now: float) -> None:
        for tp in [tp for tp, until in self._waiting.items() if until <= now]:
            del self._waiting[tp]
            if not any(other.topic == tp.topic for other in self._waiting):
                BATCH_DOOR_WAITING.labels(service_of_door(tp.topic) or "").set(0)
            if tp in consumer.assignment():
                consumer.resume(tp)

    def _write(self, entry: BatchEntry, trace: Headers) -> Write:
        job_id = entry.job.job_id
        value = self._codec.encode(entry)
        try:
            check_size(BATCH_ENTRIES, job_id.encode(), value, trace)
        except Permanent as e:  # a record that the broker never takes would stop all doors
            value = self._codec.encode(not_allowed(entry, e))
        return Write(BATCH_ENTRIES.name, job_partition(job_id), job_id.encode(), value, [*trace.items()])

    async def _is_open(self, service: str) -> bool:
        if service in self._services.with_batch_door():
            return True
        told = await self._services.refresh()
        is_open = service in self._services.with_batch_door()
        if not told and not is_open:
            raise Outage("the log does not tell which batch doors are open", code="services_unavailable")
        return is_open
