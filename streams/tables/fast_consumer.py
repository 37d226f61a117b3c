"""Faust's consumer with less work for each record: fetches go on whole, no tasks for what need not wait.

Faust hands every record through a chain of four tasks, two queues and a count of what remains. Of a table
of a million entries that chain took most of the recovery, and of a fold a third: the records' own parsing is the
smaller part.
"""

import asyncio
import inspect
import sys
import time
import types
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode.services import WaitResults

from streams.log.kafka_tail import to_log_record
from streams.log.protocols import LogRecord
from streams.tables.arrivals import Arrivals

# (partition, key, whether there is a value) of each record of the changelog, in its order.
OnRecovered = Callable[[int, bytes, bool], None]


class FastConsumer(Consumer):
    """Works as Faust's own but for the methods here; records of the topics `folded` go to `arrivals`, not to a stream.

    A fetch of less than `many` records is followed by the next after `gather_s` seconds: each one costs the broker,
    the consumer's thread and the loop as much as ten records do. Where the topic `awaited` is named, only one that
    brought records of it is: what came before may have its end on the way.
    """

    on_recovered: OnRecovered
    arrivals: Arrivals
    folded: frozenset[str] = frozenset()
    gather_s = 0.0
    awaited = ""
    many = 1
    _next_fetch_at = 0.0
    _left_to_faust: frozenset[Any] = frozenset()
    _left_in = -1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The last offset handed over of each partition. What Faust has read it sets back at the end of a recovery,
        # when the first records may be here already: they are not missing.
        self._handed: dict[TP, int] = {}

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:
        """Wait for the first of these; what comes to its end without any wait needs no task for it."""
        if len(coros) == 2 and timeout is None and all(map(inspect.iscoroutine, coros)):
            first, second = cast("tuple[Coroutine[Any, Any, Any], ...]", coros)
            try:
                waits_for = first.send(None)
            except StopIteration as done:
                second.close()
                if self._stopped.is_set() or self._crashed.is_set():
                    return WaitResults([], [], True)
                return WaitResults([first], [done.value], False)
            except BaseException:
                second.close()
                raise
            return await super().wait_first(_rest_of(first, waits_for), second)
        return await super().wait_first(*coros, timeout=cast(Any, timeout))

    async def _wait_next_records(self, timeout: float) -> Any:
        """Fetch. Records of a changelog under recovery go into the table here, a fetch at a time.

        The last record of each goes on through Faust too, which drops it as seen and finds the recovery's end.
        """
        recovery = cast(Any, self.app.tables).recovery
        if not recovery.in_recovery:
            if (pause_s := self._next_fetch_at - time.monotonic()) > 0:
                await asyncio.sleep(pause_s)
            if self.arrivals.full:
                # Not without end, and not in a rebalance: whoever takes them may wait for what comes after it.
                await self.wait_first(self.arrivals.until_room(), self.suspend_flow.wait(), timeout=timeout)
                if self.arrivals.full:
                    return {}, None
        records, active = cast("tuple[dict[Any, Any], Any]", await super()._wait_next_records(timeout))
        few = records and sum(map(len, records.values())) < self.many
        few = few and (not self.awaited or any(tp.topic == self.awaited for tp in records))
        self._next_fetch_at = time.monotonic() + self.gather_s if few else 0.0
        generation = self.app.consumer_generation_id
        if generation != self._left_in:
            self._left_in, self._left_to_faust = generation, frozenset()
            self.arrivals.clear()
            self._handed.clear()
        if records and self.flow_active and recovery.active_tps:
            for tp in [tp for tp in records if tp in recovery.active_tps and (active is None or tp in active)]:
                if not recovery.in_recovery or recovery.active_offsets[tp] is None:
                    # Faust has records of it in its queue from now on, and these must stay in their order.
                    self._left_to_faust |= {tp}
                elif tp not in self._left_to_faust and records[tp]:
                    self._apply(recovery, tp, records[tp])
                    records[tp] = records[tp][-1:]
        if records and self.flow_active:
            for tp in [tp for tp in records if tp.topic in self.folded]:
                fetched = records.pop(tp)
                if active is None or tp in active:
                    await self._hand_over(tp, fetched, generation)
        return records, active

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Go on reading from these offsets. What is read again is not missing: it is committed when it is done."""
        for tp, offset in partitions.items():
            self._gap[tp].chop(offset, sys.maxsize)
            self._handed.pop(tp, None)
        await super().seek_wait(partitions)

    def done(self, generation: int, records: Iterable[LogRecord]) -> None:
        """Let records be committed, unless the group's generation is another by now.

        Faust takes an acknowledgement for one of the partition's new turn, and commits past what is unread there.
        """
        if generation != self.app.consumer_generation_id:
            return
        offsets: defaultdict[TP, list[int]] = defaultdict(list)
        for record in records:
            offsets[TP(record.topic, record.partition)].append(record.offset)
        now = time.monotonic()
        for tp, done in offsets.items():
            committed, known = self._committed_offset[tp], self._acked_index[tp]
            new = [offset for offset in done if (committed is None or offset >= committed) and offset not in known]
            known.update(new)
            self._acked[tp].extend(new)
            # What Faust's watch over stuck streams asks for.
            cast(Any, self.app.monitor).stream_inbound_time[tp] = now

    async def _hand_over(self, tp: Any, fetched: Sequence[Any], generation: int) -> None:
        before = self._read_offset[tp]
        fresh = fetched if before is None else [record for record in fetched if record.offset >= before]
        if not fresh:
            return
        handed = self._handed.get(tp)
        last = before if handed is None else max(before or 0, handed)
        for record in fresh if last is None or fresh[-1].offset - last > len(fresh) else ():
            if last is not None and record.offset - last > 1:
                await self._add_gap(tp, last + 1, record.offset - 1)  # else Faust waits for these with its commits
            last = record.offset
        self._read_offset[tp] = self._handed[tp] = fresh[-1].offset
        self.arrivals.put(generation, map(to_log_record, fresh))

    def _apply(self, recovery: Any, tp: Any, fetched: Sequence[Any]) -> None:
        table = recovery.tp_to_table[tp]
        changes = [_Change(record.key, record.value, tp.partition) for record in fetched if record.key is not None]
        table.apply_changelog_batch(changes)
        for change in changes:
            self.on_recovered(tp.partition, change.key, change.value is not None)
        recovery.active_offsets[tp] = max(recovery.active_offsets[tp], fetched[-1].offset)


class _Change:
    """A record of the changelog, as far as a table looks at an event and its message."""

    __slots__ = ("key", "partition", "value")

    def __init__(self, key: bytes, value: bytes | None, partition: int) -> None:
        self.key, self.value, self.partition = key, value, partition

    @property
    def message(self) -> "_Change":
        return self


async def _rest_of(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    """Go on with a coroutine that has begun already and waits for something."""
    return await _steps(coroutine, waits_for)


@types.coroutine
def _steps(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, None, Any]:
    while True:
        try:
            yield waits_for
        except BaseException as e:  # it is told of everything, cancellation included
            step = partial(coroutine.throw, e)
        else:
            step = partial(coroutine.send, None)
        try:
            waits_for = step()
        except StopIteration as done:
            return done.value
