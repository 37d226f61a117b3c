"""What the loop of a table's process owes its changelog when a rebalance comes in the middle of a batch."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.errors import Outage
from streams.log.memory import MemoryLog, MemoryPublisher
from streams.log.protocols import LogRecord
from streams.metrics_server import Health
from streams.redis_keys import Offsets
from streams.tables import table_process
from streams.tables.arrivals import Arrived
from streams.tables.table_process import Change, Contents, TableProcess, Taken


class Table:
    """A table as JobTableApp shows it; `changelog` is what was sent."""

    def __init__(self) -> None:
        self.generation = 1
        self.settled = True
        self.failure = ""
        self.partitions = frozenset({0, 1})
        self.store: dict[bytes, bytes] = {}
        self.changelog: list[tuple[int, bytes, bytes | None]] = []
        self.rewound: list[tuple[int, Offsets]] = []
        self.faust = SimpleNamespace()

    async def rewind(self, partition: int, offsets: Offsets) -> None:
        self.rewound.append((partition, offsets))

    async def write_changelog(self, changes: Any) -> asyncio.Future[Any]:
        self.changelog += changes
        return asyncio.gather()


class Keeper:
    """Shows everything; `during` happens while Redis is being asked."""

    trouble = ""

    def __init__(self) -> None:
        self.folded: dict[int, Offsets] = {}
        self.during = lambda: None
        self.refused: list[frozenset[int]] = []
        self.published = 0
        self.ours = True  # whether no marker is another's
        self.asked: list[frozenset[int]] = []  # for which partitions, each time

    async def publish(self, changed: Any, following: Any) -> frozenset[int]:
        self.published += 1
        self.asked.append(frozenset(following))
        self.during()
        self.folded |= following
        return self.refused.pop() if self.refused else frozenset()

    async def check(self) -> bool:
        return self.ours

    async def take_over(self, partitions: frozenset[int], generation: int) -> None:
        """Take nothing."""


class Last(Contents[bytes]):
    """The last value of each key; a repeat is no change."""

    name = "last"

    def __init__(self, store: dict[bytes, bytes]) -> None:
        self.store = store
        self.outages: list[Callable[[], None]] = []  # what happens in each, one a decoding
        self.meanwhile: Callable[[], Awaitable[None]] | None = None  # what happens while it waits, once

    def __len__(self) -> int:
        return len(self.store)

    async def _wait(self) -> None:
        if (happens := self.meanwhile) is not None:
            self.meanwhile = None
            await happens()

    async def decode(self, record: Any) -> bytes:
        if self.outages:
            self.outages.pop()()
            raise Outage("the log does not answer")
        await self._wait()
        return record.value

    def take(self, batch: Any) -> Taken:
        changed: dict[tuple[int, bytes], bytes] = {}
        for record, value in batch:
            if self.store.get(record.key) != value:
                changed[record.partition, record.key] = self.store[record.key] = value
        return Taken([(p, key, value) for (p, key), value in changed.items()], {})

    async def tidy(self) -> list[Change]:
        await self._wait()
        gone = [(int(key[:1]), key, None) for key in self.store if key.endswith(b"old")]
        for _, key, _ in gone:
            del self.store[key]
        return gone

    def settle(self, partitions: frozenset[int]) -> None:
        """Keep everything, as Faust's store in memory does for partitions that stay."""


def arrived(partition: int, offset: int, key: bytes, value: bytes, generation: int) -> Arrived:
    return Arrived(generation, LogRecord("t", partition, offset, key, value, {}, 0))


class Log:
    """Tells where the log begins."""

    def __init__(self) -> None:
        self.begin = Offsets(0, 0)

    async def begins(self, partition: int) -> Offsets:
        return self.begin


def process(log: Log | None = None) -> tuple[TableProcess[bytes, Any], Table, Keeper]:
    table, keeper = Table(), Keeper()
    it: Any = TableProcess(
        table, Last(table.store), keeper, MemoryPublisher(MemoryLog()), Health(), ("t",), log or Log()
    )
    return it, table, keeper


async def settled(it: Any) -> None:
    """Let the process take over the generation that its table is in."""
    await it._take_over()


async def cut_off(it: Any, table: Table, keeper: Keeper, *records: Arrived) -> None:
    """Begin a batch, and let the group move on to its second generation while Redis is asked."""

    def rebalance() -> None:
        table.generation = 2

    keeper.during = rebalance
    assert await it.batch(records) is None
    keeper.during = lambda: None


async def test_what_a_cut_off_batch_changed_reaches_the_changelog_when_its_records_come_again() -> None:
    it, table, keeper = process()
    await settled(it)
    await cut_off(it, table, keeper, arrived(0, 5, b"a", b"1", 1), arrived(1, 7, b"b", b"1", 1))
    assert table.changelog == []
    table.partitions = frozenset({0})
    await settled(it)
    folded = await it.batch([arrived(0, 5, b"a", b"1", 2)])
    assert folded is not None
    assert folded.generation == 2
    # Partition 1 is another's by now: writing there would put an old state over a newer one.
    assert table.changelog == [(0, b"a", b"1")]
    await it.batch([arrived(0, 6, b"a", b"1", 2)])
    assert table.changelog == [(0, b"a", b"1")]


async def test_a_record_that_cannot_be_judged_in_an_outage_waits_and_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_process, "_RETRY_S", 0.0)
    it, table, _ = process()
    await settled(it)
    it._contents.outages = [lambda: None] * 2
    assert await it.batch([arrived(0, 5, b"a", b"1", 1), arrived(0, 6, b"b", b"1", 1)]) is not None
    assert table.changelog == [(0, b"a", b"1"), (0, b"b", b"1")]

    def rebalance() -> None:
        table.generation = 2

    it._contents.outages = [rebalance]
    assert await it.batch([arrived(0, 7, b"a", b"2", 1)]) is None  # it is somebody else's by now
    assert table.store[b"a"] == b"1"


async def test_what_a_rebalance_met_while_it_was_decoded_is_not_folded_into_what_is_anothers_by_now() -> None:
    it, table, _ = process()
    await settled(it)

    async def rebalance() -> None:
        table.generation, table.partitions = 2, frozenset({0})
        await settled(it)

    it._contents.meanwhile = rebalance
    assert await it.batch([arrived(1, 7, b"b", b"1", 1)]) is None
    assert table.store == {}
    assert await it.batch([arrived(0, 5, b"a", b"1", 2)]) is not None
    assert table.changelog == [(0, b"a", b"1")]


async def test_redis_is_asked_for_the_partitions_of_what_is_sent_late_too() -> None:
    it, table, keeper = process()
    await settled(it)
    await cut_off(it, table, keeper, arrived(1, 7, b"b", b"1", 1))
    await settled(it)
    assert await it.batch([arrived(0, 5, b"a", b"1", 2)]) is not None
    assert sorted(table.changelog) == [(0, b"a", b"1"), (1, b"b", b"1")]
    assert keeper.asked[-1] == {0, 1}


async def test_what_is_sent_late_is_what_the_table_has_now() -> None:
    it, table, keeper = process()
    await settled(it)
    await cut_off(it, table, keeper, arrived(0, 5, b"a", b"1", 1))
    table.store[b"a"] = b"2"  # recovered from the changelog of whoever had the partition in between
    await settled(it)
    await it.batch([arrived(0, 6, b"c", b"1", 2)])
    assert sorted(table.changelog) == [(0, b"a", b"2"), (0, b"c", b"1")]


async def test_the_changelog_waits_until_redis_lets_every_partition_pass() -> None:
    it, table, keeper = process()
    await settled(it)
    keeper.refused = [frozenset({0})]
    assert await it.batch([arrived(0, 5, b"a", b"1", 1)]) is not None
    assert keeper.published == 2
    assert table.changelog == [(0, b"a", b"1")]


async def test_what_is_removed_while_the_group_moves_on_is_written_only_for_partitions_that_stay() -> None:
    it, table, _ = process()
    await settled(it)
    table.store |= {b"0old": b"1", b"1old": b"1", b"0": b"1"}

    async def rebalance() -> None:
        table.generation, table.partitions = 2, frozenset({0})

    it._contents.meanwhile = rebalance
    await it._keep_house()
    assert table.changelog == []
    await it._keep_house()  # nothing is to be removed before the partitions are taken over
    await settled(it)
    await it.batch([arrived(0, 5, b"a", b"1", 2)])
    assert sorted(table.changelog) == [(0, b"0old", None), (0, b"a", b"1")]


async def test_nothing_is_removed_while_another_process_holds_a_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    it, table, keeper = process()
    await settled(it)
    table.store |= {b"0old": b"1"}
    keeper.ours = False
    await it._keep_house()
    assert set(table.store) == {b"0old"}
    keeper.ours = True
    monkeypatch.setattr(table_process, "_LEAVE_S", 0.0)  # what was allowed longer ago than this may be another's
    await it._keep_house()
    assert table.changelog == []
    monkeypatch.undo()
    await it.batch([arrived(0, 5, b"a", b"1", 1)])
    assert sorted(table.changelog) == [(0, b"0old", None), (0, b"a", b"1")]


async def test_nothing_behind_skipped_records_is_folded_or_done_until_they_come() -> None:
    it, table, keeper = process()
    await settled(it)
    keeper.folded = {0: Offsets(5, 0), 1: Offsets(7, 0)}
    behind, fine = arrived(0, 8, b"a", b"3", 1), arrived(1, 7, b"b", b"1", 1)
    folded = await it.batch([behind, fine])
    assert folded is not None
    assert folded.records == [fine.record]
    assert table.changelog == [(1, b"b", b"1")]
    assert table.rewound == [(0, Offsets(5, 0))]
    again = [arrived(0, offset, b"a", b"%d" % offset, 1) for offset in (5, 6, 7, 8)]
    folded = await it.batch(again)
    assert folded is not None
    assert folded.records == [one.record for one in again]
    assert table.changelog[1:] == [(0, b"a", b"8")]


async def test_records_that_retention_took_are_passed_over() -> None:
    log = Log()
    it, table, keeper = process(log)
    await settled(it)
    keeper.folded, log.begin = {0: Offsets(5, 0)}, Offsets(8, 0)
    for _ in range(2):  # the first time it asks and reads again
        await it.batch([arrived(0, 8, b"a", b"3", 1)])
    assert table.changelog == [(0, b"a", b"3")]


async def test_a_scrape_tells_whether_the_table_is_read_from_its_changelog() -> None:
    it, _, _ = process()
    seen: list[float | None] = []
    for settled_now in (False, True):
        it._tell(settled_now)
        seen.append(REGISTRY.get_sample_value("gateway_job_state_recovering"))
    assert seen == [1, 0]
