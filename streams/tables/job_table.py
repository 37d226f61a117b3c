"""The Faust app: its settings, its table and the batches of records it hands over.

What Faust does here: group membership, the table and its recovery from the changelog, commits of what
was acknowledged. What it does not: acknowledge by itself, expire, or write to its changelog through
`table[key] = …` (one buffered message at a time; a batch goes straight to its producer instead).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import faust
from aiokafka.errors import IllegalStateError
from faust.transport.drivers.aiokafka import Producer
from faust.transport.producer import ProducerBuffer
from faust.types import TP, EventT

from schemas.topics import JOB_EVENTS, JOB_PARTITIONS, JOB_TABLE_CHANGELOG, MAX_REQUEST_BYTES, RESULTS, Topic
from streams.log.bootstrap import faust_options
from streams.log.closing import close_client
from streams.log.protocols import LogRecord
from streams.logs import get_logger
from streams.redis_keys import Offsets
from streams.tables.arrivals import Arrivals, Arrived
from streams.tables.awake_producer import AwakeProducer, Standstill
from streams.tables.fast_consumer import FastConsumer, OnRecovered
from streams.tables.quiet_monitor import QuietMonitor
from streams.tasks import background, end_tasks

log = get_logger(__name__)

GROUP = "job-state"

_SESSION_TIMEOUT_S = 10.0
_STOP_S = 15.0
_HEARTBEAT_S = 3.0
_COMMIT_INTERVAL_S = 1.0
MAX_BATCH = 500


class Folded(NamedTuple):
    """Records that are done once their changelog is acknowledged, and the group's generation that they are of."""

    generation: int
    records: Sequence[LogRecord]
    written: asyncio.Future[Any]


OnBatch = Callable[[Sequence[Arrived]], Awaitable[Folded | None]]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table: the consumer group that folds `topics` into it, and the changelog it is recovered from.

    All topics have the same partitions, and the first one is always consumed where the others are.
    `awaited`: the topic whose records somebody may wait for; `hold_s`: how long other records wait for one of these.
    `gather_s`: the least time between two fetches (after one that brought what is awaited, where that is named); a
    backlog is fetched at once.
    """

    group: str
    table: str
    changelog: Topic
    topics: tuple[Topic, ...]
    gather_s: float = 0.0
    awaited: Topic | None = None
    hold_s: float = 0.0


# A short job's end follows its `accepted` within milliseconds. Shown together they cost half, and the end waits for
# nothing that the beginning asks of two cores. Who asks for one job after the other is never made to wait by
# `gather_s`; ends of jobs that come faster than that share a batch.
JOBS = TableSpec(
    GROUP, "jobs", JOB_TABLE_CHANGELOG, (JOB_EVENTS, RESULTS), gather_s=0.005, awaited=RESULTS, hold_s=0.01
)


class JobTableApp:
    """A Faust worker with one table of bytes by job id (or another key of the records; see `spec`).

    `on_batch` gets the records that were there at once (at most MAX_BATCH) and says when which of them
    are done; others are delivered again, after the rebalance between them. It is called for the next
    batch before that, one ahead at most. What it raises ends the worker (see `failure`).
    """

    def __init__(
        self, bootstrap: str, data_dir: Path, on_batch: OnBatch, on_recovered: OnRecovered, spec: TableSpec = JOBS
    ) -> None:
        self._spec = spec
        ProducerBuffer.max_messages = 20_000  # a class attribute; at its 100 the stream waits for every flush
        self.faust: Any = faust.App(
            spec.group,
            **faust_options(bootstrap),
            datadir=str(data_dir),
            store="memory://",
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,  # topics are made by `./gateway up`, with our settings
            topic_disable_leader=True,
            broker_session_timeout=_SESSION_TIMEOUT_S,
            broker_heartbeat_interval=_HEARTBEAT_S,
            broker_commit_interval=_COMMIT_INTERVAL_S,
            broker_max_poll_interval=600.0,
            consumer_auto_offset_reset="earliest",
            producer_acks=-1,
            producer_max_batch_size=256 * 1024,
            producer_max_request_size=MAX_REQUEST_BYTES,
            producer_request_timeout=30.0,
            # A batch that waits for Redis must not hold up a rebalance: its records come again.
            stream_wait_empty=False,
            table_standby_replicas=0,
            monitor=QuietMonitor(),
            topic_partitions=JOB_PARTITIONS,
        )
        topic = spec.awaited.name if spec.awaited is not None else ""
        self._arrivals = Arrivals(MAX_BATCH, 4 * MAX_BATCH, topic, spec.hold_s)
        own = {
            "on_recovered": staticmethod(on_recovered),
            "arrivals": self._arrivals,
            "folded": frozenset(source.name for source in spec.topics),
            "gather_s": spec.gather_s,
            "awaited": topic,
            "many": MAX_BATCH,
        }
        consumer = type("TableConsumer", (FastConsumer,), own)
        self.faust.transport.Consumer = consumer
        # So long after the last heartbeat, at the earliest, the partitions are another's.
        self._standstill = Standstill(_SESSION_TIMEOUT_S - _HEARTBEAT_S)
        producer = type("AwakeTableProducer", (AwakeProducer,), {"standstill": self._standstill})
        self.faust.transport.Producer = type("TableProducer", (Producer,), {"_producer_type": producer})
        self._on_batch = on_batch
        self._on_recovered = on_recovered
        self._table: Any = self.faust.Table(
            spec.table,
            key_type=bytes,
            value_type=bytes,
            partitions=JOB_PARTITIONS,
            on_changelog_event=self._note_recovered,
        )
        changelog = self._table.changelog_topic_name
        if changelog != spec.changelog.name:
            raise AssertionError(f"Faust calls the changelog {changelog}, schemas.topics {spec.changelog.name}")
        topic = self.faust.topic(
            *(source.name for source in spec.topics),
            key_serializer="raw",
            value_serializer="raw",
            partitions=JOB_PARTITIONS,
        )
        self._error: BaseException | None = None
        self._watching: asyncio.Task[None] | None = None
        self.faust.agent(topic, name=spec.group)(self._consume)

    @property
    def store(self) -> MutableMapping[bytes, bytes]:
        """The table's local data; changing it does not write to the changelog."""
        return cast("MutableMapping[bytes, bytes]", self._table.data)

    @property
    def generation(self) -> int:
        """The group's generation that the consumer works in."""
        return cast(int, self.faust.consumer_generation_id)

    @property
    def settled(self) -> bool:
        """Whether an assignment stands and its partitions are recovered."""
        app = self.faust
        return app.started and not app.rebalancing and app.tables.actives_ready and not app.in_recovery

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are assigned now."""
        return frozenset(
            tp.partition for tp in self.faust.consumer.assignment() if tp.topic == self._spec.topics[0].name
        )

    @property
    def committed(self) -> Mapping[Any, int | None]:
        """What the group has committed, by topic and partition, as far as this member knows."""
        consumer = self.faust.consumer
        return dict(consumer._committed_offset) if consumer is not None else {}

    @property
    def failure(self) -> str:
        """Why the worker has crashed, or empty. It does not come back by itself."""
        error = self._error or (self.faust._crash_reason if self.faust.crashed else None)
        return f"the Faust worker crashed: {type(error).__name__}" if error is not None else ""

    async def start(self) -> None:
        """Start the worker in this event loop; returns once its services run, before any recovery."""
        self._watching = background(self._standstill.watch(), "standstill")
        await self.faust.start()

    async def stop(self) -> None:
        """Commit what is acknowledged, leave the group, close; whatever that meets, it ends."""
        # After a broker's death Faust waits a minute for its consumer's thread, which waits for nothing.
        await close_client(self.faust.stop(), of=self._spec.changelog.name, timeout_s=_STOP_S)
        if self._watching is not None:
            await end_tasks(self._watching)

    async def rewind(self, partition: int, offsets: Offsets) -> None:
        """Read a partition of the topics again from these offsets on; of one that was taken from us, do nothing."""
        starts = zip(self._spec.topics, (offsets.events, offsets.results), strict=False)
        try:
            await self.faust.consumer.seek_wait({TP(topic.name, partition): offset for topic, offset in starts})
        except IllegalStateError:
            if partition in self.partitions:
                raise

    async def write_changelog(self, changes: Sequence[tuple[int, bytes, bytes | None]]) -> asyncio.Future[Any]:
        """Send (partition, job id, state or None) to the changelog; the future ends when all are acknowledged."""
        producer = self.faust.producer
        sent = [
            await producer.send(self._spec.changelog.name, key, value, partition, None, None)
            for partition, key, value in changes
        ]
        return asyncio.gather(*sent)

    async def _note_recovered(self, event: EventT[Any]) -> None:
        message = event.message
        if message.key is not None:
            self._on_recovered(message.partition, message.key, message.value is not None)

    async def _consume(self, stream: Any) -> AsyncIterator[None]:
        del stream  # Faust subscribes for it; the records come past it (see FastConsumer)
        if self._error is not None:
            # Faust has started the agent again, behind records that were never acknowledged: nothing more is folded.
            await asyncio.Event().wait()
        try:
            async for _ in self._batches():
                yield
        except Exception as e:
            self._error = e
            log.exception("table.stream_failed")
            raise

    async def _batches(self) -> AsyncIterator[None]:
        finishing: asyncio.Task[None] | None = None
        try:
            while True:
                folded = await self._on_batch(await self._arrivals.batch())
                if finishing is not None:
                    await finishing
                finishing = asyncio.create_task(self._finish(folded)) if folded is not None else None
                yield
        finally:
            if finishing is not None:
                finishing.cancel()

    async def _finish(self, folded: Folded) -> None:
        try:
            await folded.written
        except BaseException as e:  # a write that was broken off is none
            self._error = self._error or e
            raise
        if self._error is None:
            self.faust.consumer.done(folded.generation, folded.records)
