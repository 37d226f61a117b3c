"""The ledger's table: days are closed by the log's own time, keep their rows, and let their entries go."""

from dataclasses import replace

from schemas.codec import Codec
from schemas.events import UsageEvent
from schemas.topics import API_KEYS, USAGE_EVENTS
from schemas.usage_ledger import DAY_MS, HORIZON_MS, HOUR_MS
from streams.log.memory import MemoryLog, MemoryTail
from streams.log.protocols import LogRecord
from streams.log.schema_reader import CodecDecoder
from streams.metering.ledger import Ledger
from streams.metering.price_file import BudgetPrices
from streams.metering.rows import UsageRows
from streams.metering.services import Services
from streams.tables.partitions import job_partition
from tests.unit.test_usage_ledger import HOUR, usage

LATER = HOUR + HORIZON_MS + DAY_MS + 4 * HOUR_MS


class Table:
    """A ledger over a store, as a process has it after its recovery."""

    def __init__(self, store: dict[bytes, bytes], prices: BudgetPrices | None = None) -> None:
        self.rows, self.store = UsageRows(), store
        codec = Codec()
        services = Services(MemoryTail(MemoryLog(), API_KEYS.name), CodecDecoder(codec), None)
        self.ledger = Ledger(store, codec, CodecDecoder(codec), services, self.rows, prices)
        for key in store:
            self.ledger.recovered(partition_of(key), key, True)
        self.ledger.settle(frozenset(range(8)))

    def take(self, event: UsageEvent, offset: int, at_ms: int) -> None:
        """Take an event that was logged at a time."""
        partition, key = job_partition(event.request_id), event.request_id.encode()
        self.ledger.take([(LogRecord(USAGE_EVENTS.name, partition, offset, key, b"", {}, at_ms), event)])

    def shown(self, partition: int) -> dict[bytes, bytes | None]:
        """What would stand in Redis, without the log's time."""
        return {key: self.rows.get(key) for key in self.rows.keys(partition) if not key.endswith(b":t|")}


def partition_of(key: bytes) -> int:
    """The partition of a key of the table."""
    return int(key.split(b":")[1]) if key.startswith(b"\x00") else job_partition(key.decode())


def request(name: str, at_ms: int) -> UsageEvent:
    """A call, all of which are in one partition here."""
    return replace(usage(measured_at_ms=at_ms, final=True), event_id=name, request_id=name)


def same_partition(count: int) -> list[str]:
    """Some ids whose records share a partition."""
    return [name for n in range(200) if job_partition(name := f"r{n}") == 3][:count]


async def test_a_day_that_can_change_no_more_is_closed_and_its_entries_are_removed() -> None:
    old, new = same_partition(2)
    table = Table({})
    table.take(request(old, HOUR), 0, HOUR)
    table.take(request(new, LATER), 1, LATER)
    before = table.shown(3)
    (closed,) = await table.ledger.tidy()
    assert closed[1].startswith(b"\x00closed:3:")
    gone = [change for _ in range(3) for change in await table.ledger.tidy()]
    assert gone == [(3, old.encode(), None)]
    assert set(table.store) == {closed[1], new.encode()}
    assert table.shown(3) == before
    assert await table.ledger.tidy() == []


async def test_what_was_closed_is_there_after_a_recovery_and_counted_once() -> None:
    old, new = same_partition(2)
    table = Table({})
    table.take(request(old, HOUR), 0, HOUR)
    table.take(request(new, LATER), 1, LATER)
    (closed,) = await table.ledger.tidy()
    # Here the process dies: the day is closed, its entry is still there.
    again = Table(dict(table.store))
    assert old.encode() in again.store
    assert again.shown(3) == table.shown(3)
    while await again.ledger.tidy() or old.encode() in again.store:
        pass
    assert closed[1] in again.store
    assert Table(dict(again.store)).shown(3) == table.shown(3)


async def test_a_backlog_closes_nothing_that_may_still_come() -> None:
    old, new = same_partition(2)
    table = Table({})
    table.take(request(old, HOUR), 0, HOUR)
    table.take(request(new, HOUR + HORIZON_MS), 1, HOUR + HORIZON_MS)
    assert await table.ledger.tidy() == []


def test_a_row_that_is_left_empty_is_removed_from_redis() -> None:
    (name,) = same_partition(1)
    table = Table({})
    table.take(request(name, HOUR + HOUR_MS), 5, HOUR + HOUR_MS)
    table.take(request(name, HOUR), 2, HOUR)  # the same id at a lower offset: this one holds
    shown = sorted(table.shown(3).items())
    assert [amounts for key, amounts in shown if b":h:" in key and amounts == b""]
    assert len([amounts for key, amounts in shown if amounts and b":q:" not in key]) == 2
