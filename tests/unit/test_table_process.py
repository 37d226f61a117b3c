"""What the loop of a table's process owes its changelog when a rebalance comes in the middle of a batch."""

import asyncio
from types import SimpleNamespace
from typing import Any

from streams.log.memory import MemoryLog, MemoryPublisher
from streams.metrics_server import Health
from streams.redis_keys import Offsets
from streams.tables.table_process import Contents, TableProcess, Taken


class Table:
    """A table as JobTableApp shows it; `changelog` is what was sent."""

    def __init__(self) -> None:
        self.generation = 1
        self.settled = True
        self.failure = ""
        self.partitions = frozenset({0, 1})
        self.store: dict[bytes, bytes] = {}
        self.changelog: list[tuple[int, bytes, bytes | None]] = []
        self.faust = SimpleNamespace()

    async def rewind(self, partition: int, offsets: Offsets) -> None:
        """Never asked for here."""

    async def write_changelog(self, changes: Any) -> asyncio.Future[Any]:
        self.changelog += changes
        return asyncio.gather()


class Keeper:
    """Shows everything; `during` happens while Redis is being asked."""

    trouble = ""
    folded: dict[int, Offsets] = {}  # noqa: RUF012 - nothing is folded here

    def __init__(self) -> None:
        self.during = lambda: None
        self.refused: list[frozenset[int]] = []
        self.published = 0

    async def publish(self, changed: Any, following: Any) -> frozenset[int]:
        self.published += 1
        self.during()
        return self.refused.pop() if self.refused else frozenset()

    async def take_over(self, partitions: frozenset[int], generation: int) -> None:
        """Take nothing."""


class Last(Contents[bytes]):
    """The last value of each key; a repeat is no change."""

    name = "last"

    def __init__(self, store: dict[bytes, bytes]) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    async def decode(self, record: Any) -> bytes:
        return record.value

    def take(self, batch: Any) -> Taken:
        changed: dict[tuple[int, bytes], bytes] = {}
        for record, value in batch:
            if self.store.get(record.key) != value:
                changed[record.partition, record.key] = self.store[record.key] = value
        return Taken([(p, key, value) for (p, key), value in changed.items()], {})

    def settle(self, partitions: frozenset[int]) -> None:
        """Keep everything, as Faust's store in memory does for partitions that stay."""


def message(partition: int, offset: int, key: bytes, value: bytes, generation: int) -> Any:
    return SimpleNamespace(
        topic="t", partition=partition, offset=offset, key=key, value=value, headers={}, timestamp=0.0,
        generation_id=generation,
    )  # fmt: skip


def process() -> tuple[TableProcess[bytes, Any], Table, Keeper]:
    table, keeper = Table(), Keeper()
    it: Any = TableProcess(
        table, Last(table.store), keeper, MemoryPublisher(MemoryLog()), Health(), ("t",), SimpleNamespace()
    )
    return it, table, keeper


async def settled(it: Any) -> None:
    """Let the process take over the generation that its table is in."""
    await it._take_over()


async def test_what_a_cut_off_batch_changed_reaches_the_changelog_when_its_records_come_again() -> None:
    it, table, keeper = process()
    await settled(it)

    def rebalance() -> None:
        table.generation = 2

    keeper.during = rebalance
    assert await it.batch([message(0, 5, b"a", b"1", 1), message(1, 7, b"b", b"1", 1)]) is None
    assert table.changelog == []
    keeper.during = lambda: None
    table.partitions = frozenset({0})
    await settled(it)
    folded = await it.batch([message(0, 5, b"a", b"1", 2)])
    assert folded is not None
    assert folded.generation == 2
    # Partition 1 is another's by now: writing there would put an old state over a newer one.
    assert table.changelog == [(0, b"a", b"1")]
    await it.batch([message(0, 6, b"a", b"1", 2)])
    assert table.changelog == [(0, b"a", b"1")]


async def test_what_is_sent_late_is_what_the_table_has_now() -> None:
    it, table, keeper = process()
    await settled(it)

    def rebalance() -> None:
        table.generation = 2

    keeper.during = rebalance
    await it.batch([message(0, 5, b"a", b"1", 1)])
    keeper.during = lambda: None
    table.store[b"a"] = b"2"  # recovered from the changelog of whoever had the partition in between
    await settled(it)
    await it.batch([message(0, 6, b"c", b"1", 2)])
    assert sorted(table.changelog) == [(0, b"a", b"2"), (0, b"c", b"1")]


async def test_the_changelog_waits_until_redis_lets_every_partition_pass() -> None:
    it, table, keeper = process()
    await settled(it)
    keeper.refused = [frozenset({0})]
    assert await it.batch([message(0, 5, b"a", b"1", 1)]) is not None
    assert keeper.published == 2
    assert table.changelog == [(0, b"a", b"1")]
