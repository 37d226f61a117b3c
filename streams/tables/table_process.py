"""The loop of a process that folds topics into a table and shows it. What a batch means is its Contents' business.

Order of one batch, and what a crash after each step costs: fold in memory (nothing happened yet), show in
Redis (the records come again, and the successor shows nothing older meanwhile), write the changelog (the
records come again and change nothing), acknowledge. The next batch is folded and shown while the broker
still acknowledges this one's changelog: a waiter sees the end of a job without waiting for two writes.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from schemas.errors import Outage, Permanent
from streams.log.dead_letters import bury
from streams.log.protocols import LogRecord, Publisher, Raw
from streams.logs import get_logger
from streams.metrics import CONSUMER_COMMIT_SECONDS, CONSUMER_REBALANCES, TABLE_RECOVERING
from streams.metrics_server import Health
from streams.redis_keys import NOTHING_FOLDED, Offsets
from streams.tables.arrivals import Arrived
from streams.tables.fold_spans import fold_spans
from streams.tables.gaps import Gaps
from streams.tables.job_table import Folded, JobTableApp
from streams.tables.log_ends import LogEnds
from streams.tables.recovery_watch import RecoveryWatch
from streams.tables.stream_watch import StreamWatch
from streams.tables.view_keeper import PartitionKeeper

log = get_logger(__name__)

R = TypeVar("R")
S = TypeVar("S")

_LOOK_S = 0.1
_CHECK_S = 0.5
_RETRY_S = 0.25
# Less than the group's session timeout: what Redis allowed longer ago than this may be another's by now.
_LEAVE_S = 3.0

Change = tuple[int, bytes, bytes | None]


class Taken(NamedTuple):
    """What a batch changed: (partition, key, value) for the changelog, and what to show, by partition and key."""

    changes: list[Change]
    shown: Mapping[int, Mapping[bytes, Any]]


class Contents(ABC, Generic[R]):
    """What is in the table, and what records do to it."""

    name: str

    def fetched(self, records: Sequence[LogRecord]) -> None:
        """Take note that these records were on the log by now; each is decoded next."""

    @abstractmethod
    async def decode(self, record: LogRecord) -> R:
        """Return the record. Raises Permanent when it can never be folded: it goes to the dead letters.

        Raises Outage where that cannot be told now: it is asked for again.
        """

    @abstractmethod
    def take(self, batch: Iterable[tuple[LogRecord, R]]) -> Taken:
        """Fold records into the table."""

    @abstractmethod
    def settle(self, partitions: frozenset[int]) -> None:
        """Make ready after a recovery: these are the partitions held from now on."""

    @abstractmethod
    def __len__(self) -> int: ...

    async def tidy(self) -> list[Change]:
        """Return what is to be removed or put together by now; called every second or so."""
        return []

    def outdated(self) -> Mapping[int, Iterable[bytes]]:
        """Return the keys, by partition, of what has to be shown anew although no record came, until it is shown."""
        return {}

    def shown_again(self) -> None:
        """Take note that what was outdated is shown."""


class TableProcess(Generic[R, S]):
    """Everything of a table's process between its consumer and its views."""

    def __init__(
        self,
        table: JobTableApp,
        contents: Contents[R],
        keeper: PartitionKeeper[S, Any],
        publisher: Publisher,
        health: Health,
        topics: Sequence[str],
        ends: LogEnds,
        timed: Callable[[str, float], None] | None = None,
    ) -> None:
        self._timed = timed or _untimed
        self._table, self._contents, self._keeper = table, contents, keeper
        self._publisher, self._health, self._topics = publisher, health, topics
        self._ends = ends
        self._stream_watch = StreamWatch(ends, table.rewind)
        self._gaps = Gaps(topics)
        # Changed in the table, not yet sent to its changelog: a batch that a rebalance cut off comes again, and
        # what it had changed is no change any more.
        self._unsent: set[tuple[int, bytes]] = set()
        self._batches = 0
        self._generation = -1
        self._committed: Mapping[Any, int | None] = {}
        self._took_over = asyncio.Event()
        self._failure = ""
        self._recovering = False
        TABLE_RECOVERING.set_function(lambda: self._recovering)

    async def run(self, stop: asyncio.Event) -> str:
        """Work until `stop` is set; returns why the process must be restarted, or an empty text."""
        self._health.set_starting("joining the consumer group")
        await self._table.start()
        try:
            await self._look_after(stop)
        finally:
            self._health.set_unavailable("stopping")
            await self._table.stop()
        return self._failure

    async def batch(self, arrived: Sequence[Arrived]) -> Folded | None:
        """Fold what came and show it; the changelog is written but not yet acknowledged. None: it comes again."""
        self._batches += 1
        try:
            return await self._fold(arrived)
        finally:
            self._batches -= 1

    async def _fold(self, arrived: Sequence[Arrived]) -> Folded | None:
        while self._generation != self._table.generation:
            self._took_over.clear()
            await self._took_over.wait()
        generation = self._generation
        started = time.perf_counter()
        records, due = self._gaps.split([a.record for a in arrived if a.generation == generation], self._keeper.folded)
        for partition in due:
            await self._read_again(partition)
        spans = fold_spans(records, self._contents.name)
        decoded = await self._decoded(records, generation)
        if decoded is None or generation != self._table.generation:
            return None  # decoding may wait: for Redis, the log, a dead letter
        taken = self._contents.take(decoded)
        self._unsent.update((partition, key) for partition, key, _ in taken.changes)
        shown_from = time.perf_counter()
        self._timed("fold", shown_from - started)
        # What was left behind is shown and sent with this batch: Redis is asked for its partitions too.
        moved = dict.fromkeys((partition for partition, _ in self._unsent), NOTHING_FOLDED) | self._following(records)
        if not await self._show(taken, moved, generation):
            return None  # the spans of what comes again are begun again
        for each in spans:
            each.end()
        sent_from = time.perf_counter()
        self._timed("view", sent_from - shown_from)
        written = await self._table.write_changelog(self._to_send(taken.changes))
        written.add_done_callback(lambda _: self._timed("changelog", time.perf_counter() - sent_from))
        # Nothing behind a gap is done: the group would commit past what is missing.
        return Folded(generation, records, written)

    async def _read_again(self, partition: int) -> None:
        at = self._keeper.folded[partition]
        log.warning("table.gap", table=self._contents.name, partition=partition, events=at.events, results=at.results)
        try:
            self._gaps.begins(partition, await self._ends.begins(partition))
        except Outage:
            return  # asked again with the next records
        await self._table.rewind(partition, at)

    def _to_send(self, changes: Sequence[Change]) -> list[Change]:
        """Return these changes, and as the table has them now those that earlier batches left behind."""
        late = self._unsent.difference((partition, key) for partition, key, _ in changes)
        self._unsent.clear()
        return [*changes, *((partition, key, self._table.store.get(key)) for partition, key in late)]

    async def _show(self, taken: Taken, following: Mapping[int, Offsets], generation: int) -> bool:
        """Show a batch; False when the group has moved on, and whoever has the partitions now folds it.

        Redis fences a process that slept through a rebalance, and the changelog cannot. So it is written
        only right after Redis let every partition pass.
        """
        while generation == self._table.generation:
            asked = time.monotonic()
            refused = await self._keeper.publish(taken.shown, following)
            if generation != self._table.generation:
                return False
            if not refused and time.monotonic() - asked < _LEAVE_S:
                return True
            if refused:
                await asyncio.sleep(_RETRY_S)
        return False

    async def _look_after(self, stop: asyncio.Event) -> None:
        watch = RecoveryWatch(self._table.faust)
        checked = 0.0
        while not stop.is_set():
            settled = self._table.settled
            self._failure = self._failure or self._table.failure or await watch.look(not settled)
            if self._failure:
                log.error("table.failed", table=self._contents.name, reason=self._failure)
                return
            if settled:
                await self._take_over()
                now = time.monotonic()
                if now - checked >= _CHECK_S:
                    await self._keep_house()
                    checked = now
                if self._generation == self._table.generation:
                    self._failure = await self._stream_watch.look(self._keeper.folded, self._batches > 0)
            self._tell(settled)
            self._tell_commits()
            try:
                async with asyncio.timeout(_LOOK_S):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _show_outdated(self) -> None:
        if self._generation != self._table.generation:
            return
        outdated = self._contents.outdated()
        if outdated and await self._keeper.show_again(outdated):
            self._contents.shown_again()

    async def _keep_house(self) -> None:
        """See that the views stand, then tidy the table; the changelog is fenced as in `_show`."""
        generation, asked = self._generation, time.monotonic()
        ours = await self._keeper.check()
        await self._show_outdated()
        if not ours or generation != self._table.generation:
            return
        changes = await self._contents.tidy()
        if generation == self._table.generation and time.monotonic() - asked < _LEAVE_S:
            await (await self._table.write_changelog(changes))
        else:  # those of partitions that stay are sent with a batch
            self._unsent.update((partition, key) for partition, key, _ in changes)

    async def _take_over(self) -> None:
        generation = self._table.generation
        if generation == self._generation:
            return
        partitions = self._table.partitions
        self._contents.settle(partitions)
        self._unsent = {(partition, key) for partition, key in self._unsent if partition in partitions}
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
        CONSUMER_REBALANCES.labels(self._contents.name).inc()
        self._took_over.set()
        log.info(
            "table.taken_over",
            table=self._contents.name,
            partitions=sorted(partitions),
            generation=generation,
            records=len(self._contents),
        )

    def _tell(self, settled: bool) -> None:
        self._recovering = not settled
        if self._keeper.trouble:
            self._health.set_unavailable(self._keeper.trouble)
        elif not settled or self._generation != self._table.generation:
            self._health.set_starting(f"recovering the table of {self._contents.name}")
        else:
            self._health.set_ready()

    def _tell_commits(self) -> None:
        # Faust commits by itself and tells nobody.
        if (now := self._table.committed) != self._committed:
            self._committed = now
            CONSUMER_COMMIT_SECONDS.labels(self._contents.name).set_to_current_time()

    async def _decoded(self, records: Sequence[LogRecord], generation: int) -> list[tuple[LogRecord, R]] | None:
        """Return the records that can be folded; None when the group moved on while one had to wait for the log."""
        self._contents.fetched(records)
        decoded: list[tuple[LogRecord, R]] = []
        for record in records:
            while True:
                try:
                    decoded.append((record, await self._contents.decode(record)))
                except Permanent as e:
                    await bury(record, e, self._write_letter, stage=self._contents.name)
                except Outage as e:  # no fault of the record's, and those behind it have their order
                    if generation != self._table.generation:
                        return None
                    log.warning("table.waits", table=self._contents.name, code=e.code, reason=e.message)
                    await asyncio.sleep(_RETRY_S)
                    continue
                break
        return decoded

    def _following(self, records: Iterable[LogRecord]) -> dict[int, Offsets]:
        # A buried record counts as folded too.
        following: dict[int, list[int]] = {}
        for record in records:
            place = self._topics.index(record.topic)
            held = following.setdefault(record.partition, [-1, -1])
            held[place] = max(held[place], record.offset + 1)
        # A table of one topic has nothing on a second.
        absent = -1 if len(self._topics) > 1 else 0
        return {p: Offsets(at[0], max(at[1], absent)) for p, at in following.items()}

    async def _write_letter(self, letter: Raw) -> None:
        while True:
            try:
                await self._publisher.publish_raw(*letter)
            except Outage:
                await asyncio.sleep(_RETRY_S)
            else:
                return


def _untimed(step: str, seconds: float) -> None:
    del step, seconds
