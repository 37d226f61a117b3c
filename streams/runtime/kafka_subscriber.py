"""The subscriber on Kafka: aiokafka's group consumer, with our types and errors."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalStateError
from aiokafka.structs import OffsetAndMetadata

from schemas.errors import Outage
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.kafka_errors import translated
from streams.log.kafka_tail import to_log_record
from streams.log.protocols import Committed, LogRecord, Partition, Reach, RebalanceListener
from streams.logs import get_logger
from streams.runtime.assignor import own_assignor

log = get_logger(__name__)

_CALL_S = 5.0
_JOIN_S = 60.0
_RETRY_S = 0.5
_REQUEST_MS = 10_000
# A killed member's partitions wait this long for another; heartbeats must fit in several times.
_SESSION_MS = 6_000
_HEARTBEAT_MS = 1_500
# Liveness is watched by heartbeats and by the worker's own watchdog: a poll that is late must not
# make aiokafka leave the group, since work may take longer than any interval.
_MAX_POLL_INTERVAL_MS = 24 * 3600 * 1000
_PARTITION_FETCH_BYTES = 256 * 1024
# Fetches of less than so many records are so far apart: whoever comes first is read at once, and a fetch costs the
# broker and us as much as ten records do.
_FEW, _APART_S = 64, 0.005


class KafkaSubscriber:
    """A Subscriber on Kafka."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = topics
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._settled = asyncio.Event()
        self._handing_over = False
        self._next_fetch_at = 0.0

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group."""
        with translated(f"joining the group {self._group}"):
            admin = AIOKafkaAdminClient(**client_options(self._bootstrap), request_timeout_ms=_REQUEST_MS)
            try:
                await admin.start()
                self._admin = admin
                self._consumer = AIOKafkaConsumer(
                    **client_options(self._bootstrap),
                    group_id=self._group,
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    session_timeout_ms=_SESSION_MS,
                    heartbeat_interval_ms=_HEARTBEAT_MS,
                    rebalance_timeout_ms=30_000,
                    max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
                    max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
                    # A fetch waits this long at the broker, and a resumed partition for its end.
                    fetch_max_wait_ms=250,
                    partition_assignment_strategy=(own_assignor(),),
                )
                self._consumer.subscribe(list(self._topics), listener=_Listener(self, listener))
                await self._consumer.start()
                # aiokafka returns when partitions are assigned, which is before the listener knows it.
                async with asyncio.timeout(_JOIN_S):
                    await self._settled.wait()
            except BaseException:
                await self.stop()
                raise

    async def stop(self) -> None:
        """Leave the group."""
        if self._consumer is not None:
            await close_client(self._consumer.stop(), of=self._group)
        if self._admin is not None:
            await close_client(self._admin.close(), of=self._group)

    async def poll(self, timeout_s: float) -> Mapping[Partition, Sequence[LogRecord]]:
        """Return what has come, waiting up to `timeout_s` for something."""
        if (pause_s := self._next_fetch_at - time.monotonic()) > 0:
            await asyncio.sleep(pause_s)
        with translated(f"polling for {self._group}"):
            fetched = await self._ready.getmany(timeout_ms=int(timeout_s * 1000))
        few = 0 < sum(map(len, fetched.values())) < _FEW
        self._next_fetch_at = time.monotonic() + _APART_S if few else 0.0
        return {Partition(tp.topic, tp.partition): [to_log_record(r) for r in rs] for tp, rs in fetched.items()}

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop reading these partitions."""
        self._ready.pause(*(_tp(p) for p in partitions if _tp(p) in self._ready.assignment()))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Read these partitions again; while they are handed over nothing is read, and afterwards all of them are."""
        if self._handing_over:
            return
        self._ready.resume(*(_tp(p) for p in partitions if _tp(p) in self._ready.assignment()))

    async def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Commit."""
        with translated(f"committing for {self._group}"):
            try:
                wanted = {_tp(p): OffsetAndMetadata(c.offset, c.metadata) for p, c in offsets.items()}
                async with asyncio.timeout(_CALL_S):
                    await self._ready.commit(wanted)
            except IllegalStateError as e:
                raise Outage("a partition is no longer assigned", code="not_assigned") from e

    async def reach(self, partitions: Iterable[Partition]) -> Mapping[Partition, Reach]:
        """Return how far reading is and where the log ends."""
        with translated(f"reading the ends for {self._group}"):
            async with asyncio.timeout(_CALL_S):
                wanted = [tp for p in partitions if (tp := _tp(p)) in self._ready.assignment()]
                ends = await self._ready.end_offsets(wanted) if wanted else {}
                return {
                    Partition(tp.topic, tp.partition): Reach(await self._ready.position(tp), end)
                    for tp, end in ends.items()
                }

    async def committed(self, partitions: AbstractSet[Partition]) -> dict[Partition, Committed | None]:
        """Return what the group committed; only the admin client gives the metadata, too."""
        if not partitions:
            return {}
        with translated(f"reading the commits of {self._group}"):
            assert self._admin is not None
            wanted = [_tp(p) for p in partitions]
            async with asyncio.timeout(_CALL_S):
                found = await self._admin.list_consumer_group_offsets(self._group, partitions=wanted)
        if not found.keys() >= set(wanted):
            # An error about all of them, as of a coordinator that moves, leaves aiokafka with none.
            raise Outage(f"the broker did not tell the commits of {self._group}", code="commits_untold")
        commits = {Partition(tp.topic, tp.partition): c for tp, c in found.items() if c.offset >= 0}
        return {p: Committed(commits[p].offset, commits[p].metadata) if p in commits else None for p in partitions}

    async def hand_over(self, assigned: set[TopicPartition], listener: RebalanceListener) -> None:
        """Tell the listener about its partitions before any of their records can be polled.

        The pause comes before the first await: aiokafka has not begun to fetch then. A record that
        was polled without its listener knowing the partition would be passed over, and committed past.
        Nobody may resume meanwhile: of a partition that came back a work may end and make room.
        """
        self._handing_over = True
        try:
            self._ready.pause(*assigned)
            await listener.assigned(await self._surely_committed(assigned))
        finally:
            self._handing_over = False
        self._ready.resume(*assigned)
        self._settled.set()

    async def _surely_committed(self, assigned: set[TopicPartition]) -> dict[Partition, Committed | None]:
        held = {Partition(tp.topic, tp.partition) for tp in assigned}
        while True:
            try:
                return await self.committed(held)
            except Outage as e:
                # Without the commits' notes a crash's attempts would be forgotten: rather wait.
                log.warning("subscriber.assignment_waits", code=e.code, reason=e.message)
                await asyncio.sleep(_RETRY_S)

    @property
    def _ready(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("start the subscriber first")
        return self._consumer


class _Listener(ConsumerRebalanceListener):
    def __init__(self, subscriber: KafkaSubscriber, listener: RebalanceListener) -> None:
        self._subscriber = subscriber
        self._listener = listener

    # aiokafka awaits what these return, though its base class is not declared so.
    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, revoked: set[TopicPartition]
    ) -> None:
        await self._listener.revoked({Partition(tp.topic, tp.partition) for tp in revoked})

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, assigned: set[TopicPartition]
    ) -> None:
        await self._subscriber.hand_over(assigned, self._listener)


def _tp(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)
