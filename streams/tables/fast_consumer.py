"""Faust's consumer with less work for each record: recovery in whole fetches, no tasks for what need not wait.

Faust hands every record through a chain of four tasks, two queues and a count of what remains. Of a table
of a million entries that chain took most of the recovery; the records' own parsing is the smaller part.
"""

import asyncio
import inspect
import time
import types
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from typing import Any, cast

from faust.transport.drivers.aiokafka import Consumer
from mode.services import WaitResults

# (partition, key, whether there is a value) of each record of the changelog, in its order.
OnRecovered = Callable[[int, bytes, bool], None]


class FastConsumer(Consumer):
    """Works as Faust's own; see the two methods for what is different.

    Fetches of less than `many` records are `gather_s` seconds apart: each one costs the broker, the consumer's thread
    and the loop as much as ten records do.
    """

    on_recovered: OnRecovered
    gather_s = 0.0
    many = 1
    _next_fetch_at = 0.0
    _left_to_faust: frozenset[Any] = frozenset()
    _left_in = -1

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
        if not recovery.in_recovery and (pause_s := self._next_fetch_at - time.monotonic()) > 0:
            await asyncio.sleep(pause_s)
        records, active = cast("tuple[dict[Any, Any], Any]", await super()._wait_next_records(timeout))
        few = records and sum(map(len, records.values())) < self.many
        self._next_fetch_at = time.monotonic() + self.gather_s if few else 0.0
        generation = self.app.consumer_generation_id
        if generation != self._left_in:
            self._left_in, self._left_to_faust = generation, frozenset()
        if records and self.flow_active and recovery.active_tps:
            for tp in [tp for tp in records if tp in recovery.active_tps and (active is None or tp in active)]:
                if not recovery.in_recovery or recovery.active_offsets[tp] is None:
                    # Faust has records of it in its queue from now on, and these must stay in their order.
                    self._left_to_faust |= {tp}
                elif tp not in self._left_to_faust and records[tp]:
                    self._apply(recovery, tp, records[tp])
                    records[tp] = records[tp][-1:]
        return records, active

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
