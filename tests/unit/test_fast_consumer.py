"""The consumer under our tables: no task for what waits for nothing, and a changelog is recovered by whole fetches."""

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any

import faust
import pytest
from faust.types import TP

from streams.tables.fast_consumer import FastConsumer

CHANGELOG, EVENTS = TP("t-changelog", 3), TP("events", 3)


@dataclass
class Record:
    """A record as aiokafka gives it, as far as it is looked at."""

    offset: int
    key: bytes | None
    value: bytes | None


class Fed(FastConsumer):
    """Fetches what it was given."""

    fetched: dict[TP, list[Record]]

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        return dict(self.fetched)


class Table:
    """What the recovery applies to."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes | None] = {}

    def apply_changelog_batch(self, batch: Any) -> None:
        for event in batch:
            assert event.message.partition == 3
            assert event.message.value == event.value
            self.values[event.key] = event.value


@pytest.fixture
async def consumer() -> Any:
    app: Any = faust.App("t", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)
    noted: list[tuple[int, bytes, bool]] = []

    def note(partition: int, key: bytes, present: bool) -> None:
        noted.append((partition, key, present))

    app.transport.Consumer = type("C", (Fed,), {"on_recovered": staticmethod(note)})
    made: Any = app.consumer
    made.noted, made.table = noted, Table()
    recovery = app.tables.recovery
    recovery.active_tps.add(CHANGELOG)
    recovery.tp_to_table[CHANGELOG] = made.table
    recovery.active_offsets[CHANGELOG] = 9
    recovery.in_recovery = made.flow_active = True
    made._active_partitions = {CHANGELOG, EVENTS}
    return made


async def _value(value: int) -> int:
    return value


async def test_what_comes_to_its_end_at_once_needs_no_task(consumer: Any) -> None:
    tasks, other = asyncio.all_tasks(), asyncio.sleep(60)
    first = _value(7)
    found = await consumer.wait_first(first, other)
    assert (found.done, found.results, found.stopped) == ([first], [7], False)
    assert asyncio.all_tasks() == tasks
    assert inspect.getcoroutinestate(other) == inspect.CORO_CLOSED


async def test_what_has_to_wait_is_waited_for(consumer: Any) -> None:
    free, over = asyncio.Event(), asyncio.Event()

    async def waits_twice() -> int:
        await asyncio.sleep(0)
        await free.wait()
        return 8

    asyncio.get_running_loop().call_soon(free.set)
    found = await consumer.wait_first(waits_twice(), over.wait())
    assert found.results == [8]


async def test_what_waits_is_broken_off_when_the_other_comes_first(consumer: Any) -> None:
    over, ended = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
            raise

    async def other() -> None:
        await over.wait()

    asyncio.get_running_loop().call_soon(over.set)
    found = await consumer.wait_first(waits(), other())
    assert len(found.done) == 1
    async with asyncio.timeout(5):
        await ended.wait()


@pytest.mark.parametrize("waits", [False, True])
async def test_what_fails_is_told(consumer: Any, waits: bool) -> None:
    async def fails() -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError("x")

    with pytest.raises(LookupError):
        await consumer.wait_first(fails(), asyncio.sleep(60))


async def test_a_fetch_of_a_changelog_under_recovery_is_applied_in_its_order_and_its_last_record_goes_on(
    consumer: Any,
) -> None:
    changes = [Record(10, b"a", b"1"), Record(12, b"b", b"2"), Record(13, b"a", b"3"), Record(14, b"b", None)]
    events = [Record(0, b"a", b"x"), Record(1, b"a", b"y")]
    consumer.fetched = {CHANGELOG: changes, EVENTS: events}
    records, _ = await consumer._wait_next_records(0)
    assert records == {CHANGELOG: changes[-1:], EVENTS: events}
    assert consumer.table.values == {b"a": b"3", b"b": None}
    assert consumer.noted == [(3, b"a", True), (3, b"b", True), (3, b"a", True), (3, b"b", False)]
    assert consumer.app.tables.recovery.active_offsets[CHANGELOG] == 14


async def test_what_faust_has_begun_to_recover_itself_stays_with_it(consumer: Any) -> None:
    recovery, changes = consumer.app.tables.recovery, [Record(10, b"a", b"1"), Record(11, b"a", b"2")]
    consumer.fetched = {CHANGELOG: changes}
    recovery.active_offsets[CHANGELOG] = None
    assert (await consumer._wait_next_records(0))[0] == {CHANGELOG: changes}
    # Its queue still holds those: later ones must not overtake them.
    recovery.active_offsets[CHANGELOG] = 9
    assert (await consumer._wait_next_records(0))[0] == {CHANGELOG: changes}
    assert not consumer.noted


async def test_while_the_flow_is_stopped_nothing_is_applied(consumer: Any) -> None:
    consumer.fetched = {CHANGELOG: [Record(10, b"a", b"1"), Record(11, b"a", b"2")]}
    recovery = consumer.app.tables.recovery
    del recovery.tp_to_table[CHANGELOG]  # nothing may be looked up either

    async def stops(active_partitions: Any, timeout: float) -> Any:
        consumer.flow_active = False
        return dict(consumer.fetched)

    consumer._getmany = stops
    assert (await consumer._wait_next_records(0))[0] == consumer.fetched


async def test_small_fetches_are_spaced_and_a_backlog_is_not(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    consumer.gather_s, consumer.many = 3600.0, 2
    consumer.app.tables.recovery.in_recovery = False
    consumer.app.tables.recovery.active_tps.clear()
    one, two = [Record(1, b"k", b"v")], [Record(2, b"k", b"v"), Record(3, b"k", b"v")]
    fetches: list[tuple[dict[TP, list[Record]], int]] = [  # what comes, and how many pauses there were by then
        ({EVENTS: one}, 0),
        ({EVENTS: two}, 1),
        ({}, 1),
        ({EVENTS: one}, 1),
        ({EVENTS: one}, 2),
    ]
    for fetched, pauses in fetches:
        consumer.fetched = fetched
        await consumer._wait_next_records(1.0)
        assert len(paused) == pauses


async def test_a_recovery_is_not_slowed_down(consumer: Any) -> None:
    consumer.gather_s, consumer.many = 3600.0, 100  # a pause would end by the test's own time limit
    for offset in (10, 11):
        consumer.fetched = {CHANGELOG: [Record(offset, b"k", b"v")]}
        await consumer._wait_next_records(1.0)
