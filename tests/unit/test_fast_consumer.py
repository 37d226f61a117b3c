"""The consumer under our tables: fetches go on whole, into a changelog's table or to what is folded, without tasks."""

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any

import faust
import pytest
from faust.types import TP

from streams.log.protocols import LogRecord
from streams.tables.arrivals import Arrivals
from streams.tables.fast_consumer import FastConsumer

CHANGELOG, EVENTS, FOLDED = TP("t-changelog", 3), TP("events", 3), TP("folded", 3)


@dataclass
class Record:
    """A record as aiokafka gives it, as far as it is looked at."""

    offset: int
    key: bytes | None
    value: bytes | None
    topic: str = "events"
    partition: int = 3
    timestamp: int = 1_000
    headers: tuple[tuple[str, bytes], ...] = ()


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

    own = {"on_recovered": staticmethod(note), "arrivals": Arrivals(100, 3), "folded": frozenset({FOLDED.topic})}
    app.transport.Consumer = type("C", (Fed,), own)
    made: Any = app.consumer
    made.noted, made.table = noted, Table()
    recovery = app.tables.recovery
    recovery.active_tps.add(CHANGELOG)
    recovery.tp_to_table[CHANGELOG] = made.table
    recovery.active_offsets[CHANGELOG] = 9
    recovery.in_recovery = made.flow_active = True
    made._active_partitions = {CHANGELOG, EVENTS, FOLDED}
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


async def test_where_ends_are_awaited_only_a_fetch_with_one_is_followed_by_a_pause(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    consumer.gather_s, consumer.many, consumer.awaited = 3600.0, 100, "ends"
    consumer.app.tables.recovery.in_recovery = False
    consumer.app.tables.recovery.active_tps.clear()
    begun, ended = {EVENTS: [Record(1, b"k", b"v")]}, {TP("ends", 3): [Record(1, b"k", b"v")]}
    for fetched, pauses in ((begun, 0), (begun, 0), ({**begun, **ended}, 0), (begun, 1), (begun, 1)):
        consumer.fetched = fetched
        await consumer._wait_next_records(1.0)
        assert len(paused) == pauses


async def test_a_recovery_is_not_slowed_down(consumer: Any) -> None:
    consumer.gather_s, consumer.many = 3600.0, 100  # a pause would end by the test's own time limit
    for offset in (10, 11):
        consumer.fetched = {CHANGELOG: [Record(offset, b"k", b"v")]}
        await consumer._wait_next_records(1.0)


def folded(*offsets: int) -> list[Record]:
    return [Record(offset, b"k", b"%d" % offset, FOLDED.topic) for offset in offsets]


async def arrived(consumer: Any) -> list[int]:
    """Return the offsets of what waits to be folded; all of them are of this generation."""
    batch = await consumer.arrivals.batch()
    assert {one.generation for one in batch} == {consumer.app.consumer_generation_id}
    return [one.record.offset for one in batch]


async def test_what_is_folded_goes_past_faust(consumer: Any) -> None:
    others = [Record(1, b"k", b"v")]
    consumer.fetched = {FOLDED: folded(0, 1), EVENTS: others}
    assert (await consumer._wait_next_records(0))[0] == {EVENTS: others}
    batch = await consumer.arrivals.batch()
    assert [one.record for one in batch] == [
        LogRecord("folded", 3, 0, b"k", b"0", {}, 1_000),
        LogRecord("folded", 3, 1, b"k", b"1", {}, 1_000),
    ]


async def test_what_was_read_before_is_not_folded_again(consumer: Any) -> None:
    consumer._read_offset[FOLDED] = 5  # as a recovery sets it: the first that is to be read
    consumer.fetched = {FOLDED: folded(4, 5, 6)}
    await consumer._wait_next_records(0)
    assert await arrived(consumer) == [5, 6]
    assert consumer._read_offset[FOLDED] == 6


async def test_commits_go_on_over_offsets_that_the_log_does_not_have(consumer: Any) -> None:
    consumer._committed_offset[FOLDED] = consumer._read_offset[FOLDED] = 1
    consumer.app.topics._acking_topics.add(FOLDED.topic)
    for offsets in ((1, 2), (5, 8)):
        consumer.fetched = {FOLDED: folded(*offsets)}
        await consumer._wait_next_records(0)
    batch = await consumer.arrivals.batch()
    assert [one.record.offset for one in batch] == [1, 2, 5, 8]
    consumer.done(consumer.app.consumer_generation_id, [one.record for one in batch[:3]])
    assert consumer._new_offset(FOLDED) == 6
    consumer._committed_offset[FOLDED] = 6
    consumer.done(consumer.app.consumer_generation_id, [batch[3].record])
    assert consumer._new_offset(FOLDED) == 9


async def test_what_was_handed_over_before_faust_set_its_place_back_is_not_missing(consumer: Any) -> None:
    """At the end of a recovery Faust seeks partition by partition, and then notes for all of them where they stand."""
    consumer._committed_offset[FOLDED] = consumer._read_offset[FOLDED] = 1
    consumer.app.topics._acking_topics.add(FOLDED.topic)
    consumer.fetched = {FOLDED: folded(1, 2, 3, 4)}
    await consumer._wait_next_records(0)
    consumer._read_offset[FOLDED] = 1
    consumer.fetched = {FOLDED: folded(5, 6)}
    await consumer._wait_next_records(0)
    batch = await consumer.arrivals.batch()
    assert [one.record.offset for one in batch] == [1, 2, 3, 4, 5, 6]
    generation = consumer.app.consumer_generation_id
    consumer.done(generation, [one.record for one in batch[:2]])
    assert consumer._new_offset(FOLDED) == 3
    consumer._committed_offset[FOLDED] = 3
    consumer.done(generation, [one.record for one in batch[2:]])
    assert consumer._new_offset(FOLDED) == 7


async def test_a_partition_that_comes_back_lacks_what_it_lacks(consumer: Any) -> None:
    consumer.app.topics._acking_topics.add(FOLDED.topic)
    consumer.fetched = {FOLDED: folded(8, 9)}
    await consumer._wait_next_records(0)
    consumer.app.consumer_generation_id += 1
    consumer._committed_offset[FOLDED] = consumer._read_offset[FOLDED] = 3
    consumer.fetched = {FOLDED: folded(3, 6)}
    await consumer._wait_next_records(0)
    batch = await consumer.arrivals.batch()
    consumer.done(consumer.app.consumer_generation_id, [one.record for one in batch])
    assert consumer._new_offset(FOLDED) == 7


async def test_what_is_read_again_is_committed_only_when_it_is_done(consumer: Any) -> None:
    sought: list[Any] = []

    class Thread:
        async def seek_wait(self, partitions: Any) -> None:
            sought.append(partitions)
            consumer._read_offset.update(partitions)

    consumer._committed_offset[FOLDED] = consumer._read_offset[FOLDED] = 1
    consumer.app.topics._acking_topics.add(FOLDED.topic)
    consumer.fetched = {FOLDED: folded(1, 5)}  # the others were skipped
    await consumer._wait_next_records(0)
    generation = consumer.app.consumer_generation_id
    consumer.done(generation, [(await consumer.arrivals.batch())[0].record])
    consumer._thread = Thread()
    await consumer.seek_wait({FOLDED: 2})
    assert sought == [{FOLDED: 2}]
    consumer.fetched = {FOLDED: folded(2, 3, 4, 5)}
    await consumer._wait_next_records(0)
    consumer.done(generation, [one.record for one in (await consumer.arrivals.batch())[:2]])
    assert consumer._new_offset(FOLDED) == 4


async def test_only_what_is_done_without_a_hole_is_committed_and_each_record_once(consumer: Any) -> None:
    consumer._committed_offset[FOLDED] = consumer._read_offset[FOLDED] = 7
    consumer.fetched = {FOLDED: folded(7, 8, 9)}
    await consumer._wait_next_records(0)
    seven, eight, nine = [one.record for one in await consumer.arrivals.batch()]
    generation = consumer.app.consumer_generation_id
    consumer.done(generation, [seven, nine])
    consumer.done(generation, [seven])
    assert consumer._new_offset(FOLDED) == 8
    consumer._committed_offset[FOLDED] = 8
    consumer.done(generation, [eight, seven])
    assert consumer._new_offset(FOLDED) == 10


async def test_what_another_generation_read_is_not_committed_in_this_one(consumer: Any) -> None:
    consumer.fetched = {FOLDED: folded(0)}
    await consumer._wait_next_records(0)
    (first,) = await consumer.arrivals.batch()
    consumer.app.consumer_generation_id += 1
    consumer.done(first.generation, [first.record])
    assert not consumer._acked[FOLDED]


async def test_a_new_generation_forgets_what_the_last_one_read(consumer: Any) -> None:
    consumer.fetched = {FOLDED: folded(0, 1)}
    await consumer._wait_next_records(0)
    consumer.app.consumer_generation_id += 1
    consumer._read_offset[FOLDED] = None
    consumer.fetched = {FOLDED: folded(1)}
    await consumer._wait_next_records(0)
    assert await arrived(consumer) == [1]


async def test_what_came_while_its_partition_was_stopped_is_not_folded(consumer: Any) -> None:
    async def stops(active_partitions: Any, timeout: float) -> Any:
        active_partitions.discard(FOLDED)
        return {FOLDED: folded(0)}

    consumer._getmany = stops
    await consumer._wait_next_records(0)
    consumer._active_partitions.add(FOLDED)
    consumer.fetched = {FOLDED: folded(0)}
    del consumer._getmany
    await consumer._wait_next_records(0)
    assert await arrived(consumer) == [0]


async def test_nothing_is_fetched_while_there_is_no_room_but_for_a_recovery(consumer: Any) -> None:
    recovery = consumer.app.tables.recovery
    recovery.in_recovery = False
    consumer.fetched = {FOLDED: folded(0, 1, 2)}
    await consumer._wait_next_records(0)
    consumer.fetched = {FOLDED: folded(3)}
    assert (await consumer._wait_next_records(0.001))[0] == {}
    recovery.in_recovery = True
    consumer.fetched = {EVENTS: [Record(0, b"k", b"v")]}
    assert (await consumer._wait_next_records(0.001))[0] == consumer.fetched
    recovery.in_recovery = False
    assert await arrived(consumer) == [0, 1, 2]
    consumer.fetched = {FOLDED: folded(3)}
    await consumer._wait_next_records(0)
    assert await arrived(consumer) == [3]
