"""The job-state process: consumes, folds, shows. Order of one batch, and what a crash after each step costs:

1. fold in memory: nothing happened yet.
2. views, lists, notifications and markers in Redis, in one step a partition: the changelog lacks it,
   the records come again, and the successor shows nothing older meanwhile (see view_keeper).
3. changelog, acknowledged: the records come again and change nothing.
4. acknowledge the records, to be committed within a second.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from schemas.codec import Codec, UnknownFingerprint
from schemas.errors import Outage, UndecodableRecord
from schemas.events import JobEvent, JobResult
from streams.log.dead_letters import dead_letter
from streams.log.protocols import Decoder, LogRecord, Publisher
from streams.logs import get_logger
from streams.metrics import (
    FLUSH_SECONDS,
    FOLD_BATCH,
    FOLD_CHANGED,
    FOLDED,
    STAGE_DEAD_LETTERS,
    TABLE_EXPIRED,
    TABLE_JOBS,
    TABLE_RECOVERING,
)
from streams.metrics_server import Health
from streams.settings import Settings
from streams.tables.expiry import Expiry
from streams.tables.folding import RECORD_OF, Folded, Position, check_place, fold_batch
from streams.tables.gaps import Gaps
from streams.tables.job_states import JobStates
from streams.tables.job_table import GROUP, JobTableApp
from streams.tables.log_ends import KafkaLogEnds
from streams.tables.positions import GroupPositions
from streams.tables.recovery_watch import RecoveryWatch
from streams.tables.redis_view import RedisView
from streams.tables.stream_watch import StreamWatch
from streams.tables.view_keeper import ViewKeeper

log = get_logger(__name__)

_LOOK_S = 0.1
_CHECK_S = 0.5
_EXPIRE_S = 1.0
_RETRY_S = 0.25


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class JobStateApp:
    """Everything of the job-state process that is put together from settings and connections."""

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        decoder: Decoder,
        publisher: Publisher,
        view: RedisView,
        health: Health,
    ) -> None:
        self._codec, self._decoder, self._publisher, self._health = codec, decoder, publisher, health
        data_dir = settings.data_dir / "faust" / (settings.instance or GROUP)
        data_dir.mkdir(parents=True, exist_ok=True)
        self._table = JobTableApp(settings.kafka_bootstrap, data_dir, self._batch, self._recovered)
        self._states = JobStates(self._table.store, codec)
        positions = GroupPositions(settings.kafka_bootstrap, GROUP)
        self._keeper = ViewKeeper(view, self._states, positions, settings.job_ttl_seconds, now_ms)
        self._expiry = Expiry(self._states, settings.job_ttl_seconds, now_ms)
        self._ends = KafkaLogEnds(settings.kafka_bootstrap)
        self._stream_watch = StreamWatch(self._ends, self._table.rewind)
        self._gaps = Gaps()
        self._batches = 0
        self._generation = -1
        self._took_over = asyncio.Event()
        self._failure = ""

    async def run(self, stop: asyncio.Event) -> str:
        """Work until `stop` is set; returns why the process must be restarted, or an empty text."""
        self._health.set_starting("joining the consumer group")
        await self._table.start()
        look = asyncio.create_task(self._look_after(stop))
        try:
            await look
        finally:
            self._health.set_unavailable("stopping")
            await self._table.stop()
            await self._ends.stop()
        return self._failure

    async def _look_after(self, stop: asyncio.Event) -> None:
        watch = RecoveryWatch(self._table.faust)
        checked = expired = 0.0
        while not stop.is_set():
            settled = self._table.settled
            self._failure = self._failure or self._table.failure or await watch.look(not settled)
            if self._failure:
                log.error("job_state.failed", reason=self._failure)
                return
            if settled:
                await self._take_over()
                now = time.monotonic()
                if now - checked >= _CHECK_S:
                    await self._keeper.check()
                    checked = now
                if now - expired >= _EXPIRE_S:
                    await self._expire()
                    expired = now
                if self._generation == self._table.generation:
                    self._failure = await self._stream_watch.look(self._keeper.folded, self._batches > 0)
            self._tell(settled)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _take_over(self) -> None:
        generation = self._table.generation
        if generation == self._generation:
            return
        partitions = self._table.partitions
        self._states.settle(partitions)
        self._health.set_starting("taking over the views")
        taking = asyncio.create_task(self._keeper.take_over(partitions, generation))
        while not taking.done():
            # Redis may be down for long, and the assignment may change meanwhile.
            await asyncio.wait([taking], timeout=_LOOK_S)
            self._tell(settled=False)
            if not taking.done() and (self._table.failure or self._table.generation != generation):
                taking.cancel()
                await asyncio.wait([taking])
                return
        taking.result()
        self._generation = generation
        self._took_over.set()
        log.info("job_state.taken_over", partitions=sorted(partitions), generation=generation, jobs=len(self._states))

    def _tell(self, settled: bool) -> None:
        TABLE_RECOVERING.set(0 if settled else 1)
        TABLE_JOBS.set(len(self._states))
        if self._keeper.trouble:
            self._health.set_unavailable(self._keeper.trouble)
        elif not settled or self._generation != self._table.generation:
            self._health.set_starting("recovering the job table")
        else:
            self._health.set_ready()

    def _recovered(self, partition: int, key: bytes, present: bool) -> None:
        self._states.recovered(partition, key, present)

    async def _batch(self, messages: Sequence[Any]) -> int | None:
        self._batches += 1
        try:
            return await self._fold(messages)
        finally:
            self._batches -= 1

    async def _fold(self, messages: Sequence[Any]) -> int | None:
        while self._generation != self._table.generation:
            self._took_over.clear()
            await self._took_over.wait()
        generation = self._generation
        current = [m for m in messages if m.generation_id == generation]
        current, due, skipped = self._gaps.split(current, self._keeper.folded)
        for partition in due:
            log.warning("job_state.gap", partition=partition)
            await self._table.rewind(partition, self._keeper.folded[partition])
        started = time.perf_counter()
        folded = fold_batch(await self._decoded(current), self._states)
        for message in current:
            folded.advance(Position(message.topic, message.partition, message.offset))
        changes = [
            (partition, key, self._states.put(partition, key, state))
            for partition, states in folded.changed.items()
            for key, state in states.items()
        ]
        shown_at = await self._show(folded, started)
        if generation != self._table.generation:
            return None  # rebalanced while Redis was waited for: whoever has the partition now folds it
        await self._table.write_changelog(changes)
        FLUSH_SECONDS.labels("changelog").observe(time.perf_counter() - shown_at)
        FOLD_BATCH.observe(len(messages))
        for topic, count in Counter(m.topic for m in current).items():
            FOLDED.labels(topic).inc(count)
        FOLD_CHANGED.inc(len(changes))
        # Nothing behind a gap may be acknowledged: the group would commit past what is missing.
        return None if skipped else generation

    async def _show(self, folded: Folded, started: float) -> float:
        at = time.perf_counter()
        FLUSH_SECONDS.labels("fold").observe(at - started)
        await self._keeper.publish(folded.changed, folded.next_offsets)
        shown_at = time.perf_counter()
        FLUSH_SECONDS.labels("view").observe(shown_at - at)
        return shown_at

    async def _decoded(self, messages: Sequence[Any]) -> list[tuple[Position, JobEvent | JobResult]]:
        decoded: list[tuple[Position, JobEvent | JobResult]] = []
        for message in messages:
            position = Position(message.topic, message.partition, message.offset)
            kind = RECORD_OF[message.topic]
            try:
                try:
                    record = self._codec.decode(message.value or b"", kind)
                except UnknownFingerprint:
                    record = await self._decoder.decode(message.value, kind)
                check_place(position, message.key, record)
            except UndecodableRecord as e:
                await self._bury(message, e)
            else:
                decoded.append((position, record))
        return decoded

    async def _bury(self, message: Any, error: UndecodableRecord) -> None:
        record = LogRecord(
            message.topic,
            message.partition,
            message.offset,
            message.key,
            message.value,
            dict(message.headers or ()),
            int(message.timestamp * 1000),
        )
        letter = dead_letter(record, stage=GROUP, attempts=1, error=error, service="", at_ms=now_ms())
        log.warning(
            "job_state.dead_letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            code=error.code,
        )
        while True:
            try:
                await self._publisher.publish_raw(*letter)
            except Outage:
                await asyncio.sleep(_RETRY_S)
            else:
                STAGE_DEAD_LETTERS.labels(record.topic, error.code).inc()
                return

    async def _expire(self) -> None:
        due = self._expiry.due()
        if not due:
            return
        try:
            await self._keeper.forget([(key.decode(), service) for _, key, service in due])
        except Outage:
            return  # they stay due
        for partition, key, _ in due:
            self._states.remove(partition, key)
        await self._table.write_changelog([(partition, key, None) for partition, key, _ in due])
        TABLE_EXPIRED.inc(len(due))
