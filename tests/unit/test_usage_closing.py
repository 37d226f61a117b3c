"""The ledger's table: days are closed by the log's own time, keep their rows, and let their entries go."""

from dataclasses import replace

from schemas.codec import Codec
from schemas.events import UsageEvent
from schemas.topics import API_KEYS, USAGE_EVENTS
from schemas.usage_ledger import DAY_MS, HORIZON_MS, HOUR_MS
from schemas.usage_rows import COLUMNS
from streams.log.memory import MemoryLog, MemoryTail
from streams.log.protocols import LogRecord
from streams.log.schema_reader import CodecDecoder
from streams.metering.ledger import KEPT_MS, ROWS_KEPT_MS, Ledger
from streams.metering.price_file import BudgetPrices
from streams.metering.rows import UsageRows
from streams.metering.services import KnownServices
from streams.tables.partitions import job_partition
from tests.unit.test_usage_ledger import HOUR, usage

LATER = HOUR + HORIZON_MS + 4 * DAY_MS + 4 * HOUR_MS


class Table:
    """A ledger over a store, as a process has it after its recovery."""

    def __init__(self, store: dict[bytes, bytes], prices: BudgetPrices | None = None) -> None:
        self.rows, self.store = UsageRows(), store
        codec = Codec()
        services = KnownServices(MemoryTail(MemoryLog(), API_KEYS.name), CodecDecoder(codec), None)
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


def ended(name: str, at_ms: int, outcome: str, epoch: int = 0) -> UsageEvent:
    """The last step of a job, which had 10 prompt tokens."""
    step = usage("llm", epoch=epoch, outcome=outcome, measured_at_ms=at_ms, final=True)
    used = replace(step.usage, prompt_tokens=10 + epoch)
    return replace(step, event_id=f"{name}-{epoch}", request_id=name, usage=used)


def reported(table: Table) -> dict[tuple[bytes, str], dict[str, int]]:
    """Requests, charged and wasted prompt tokens of each day and outcome that is shown."""
    found: dict[tuple[bytes, str], dict[str, int]] = {}
    for key, amounts in table.shown(3).items():
        if b":d:" in key and amounts:
            named = dict(zip(COLUMNS, map(int, amounts.split()), strict=True))
            day = key.split(b"|")[1].split(b"\x1f")[0]
            found[day, key.decode().split("\x1f")[-1]] = {
                name: named[name] for name in ("requests", "prompt_tokens", "waste_prompt_tokens")
            }
    return found


async def until_tidy(table: Table) -> None:
    """Let everything be closed and removed that is due by now."""
    for _ in range(6):
        await table.ledger.tidy()
        if table.ledger.outdated():
            table.ledger.shown_again()


async def test_a_dead_letter_replayed_after_its_day_closed_counts_once_as_a_correction_on_the_day_of_the_replay() -> (
    None
):
    job, other = same_partition(2)
    table = Table({})
    table.take(ended(job, HOUR, "failed"), 0, HOUR)
    table.take(request(other, LATER), 1, LATER)
    await until_tidy(table)
    assert job.encode() in table.store  # its letter may still be replayed
    (closed,) = [rows for rows in reported(table).items() if rows[0][1] == "failed"]
    assert closed[1] == {"requests": 1, "prompt_tokens": 10, "waste_prompt_tokens": 0}
    replayed_ms = LATER + DAY_MS
    for offset in (2, 3):  # the second is a repeat
        table.take(ended(job, replayed_ms, "done", epoch=1), offset, replayed_ms)
    after = reported(table)
    assert after.pop(closed[0]) == closed[1]  # a statement may be out: the closed day stands
    ((_, failed),) = [item for item in after.items() if item[0][1] == "failed"]
    assert failed == {"requests": -1, "prompt_tokens": -10, "waste_prompt_tokens": 10}
    sums = [sum(rows[name] for rows in reported(table).values()) for name in ("requests", "prompt_tokens")]
    assert sums[0] == 2  # the job and the other call
    assert sums[1] == 11 + usage().usage.prompt_tokens
    again = Table(dict(table.store))
    assert reported(again) == reported(table)


async def test_a_second_replay_that_is_late_again_is_booked_on_its_own_day() -> None:
    """By then the day of the first replay, with its correction, is closed too."""
    job, *others = same_partition(4)
    table, stated = Table({}), dict[tuple[bytes, str], dict[str, int]]()
    for epoch, (day, outcome) in enumerate([(0, "failed"), (40, "failed"), (85, "done")]):
        at_ms = HOUR + day * DAY_MS
        table.take(request(others[epoch], at_ms), 2 * epoch, at_ms)  # so that the log's time goes on
        await until_tidy(table)
        table.take(ended(job, at_ms, outcome, epoch), 2 * epoch + 1, at_ms)
        failed = {day: rows for day, rows in reported(table).items() if day[1] == "failed"}
        assert {day: failed[day] for day in stated} == stated, "what is closed stands"
        stated = failed
    assert sorted(rows["requests"] for rows in stated.values()) == [-1, 0, 1]
    sums = {name: sum(rows[name] for rows in reported(table).values()) for name in ("requests", "prompt_tokens")}
    assert sums == {"requests": 1 + 3, "prompt_tokens": 12 + 3 * usage().usage.prompt_tokens}
    assert reported(Table(dict(table.store))) == reported(table)


async def test_a_request_that_failed_is_forgotten_once_no_dead_letter_of_it_is_left() -> None:
    job, other, last = same_partition(3)
    table = Table({})
    table.take(ended(job, HOUR, "failed"), 0, HOUR)
    table.take(request(other, HOUR), 1, HOUR)
    table.take(request(last, LATER), 2, LATER)
    await until_tidy(table)
    assert job.encode() in table.store
    assert other.encode() not in table.store
    table.take(request(last, HOUR + KEPT_MS + DAY_MS), 3, HOUR + KEPT_MS + DAY_MS)
    await until_tidy(table)
    assert job.encode() not in table.store


async def test_rows_leave_redis_and_the_table_once_the_log_cannot_prove_them() -> None:
    old, new, newer = same_partition(3)
    table = Table({})
    table.take(request(old, HOUR), 0, HOUR)
    table.take(request(new, LATER), 1, LATER)
    await until_tidy(table)
    days = [key for key in table.store if key.startswith(b"\x00closed")]
    assert len(days) == 1
    last_ms = HOUR + ROWS_KEPT_MS + DAY_MS
    table.take(request(newer, last_ms), 2, last_ms)
    oldest = min((key for key in table.shown(3) if b":h:" in key), key=lambda key: key.split(b":")[3])
    while not table.ledger.outdated():
        assert days[0] in table.store
        await table.ledger.tidy()
    # First it is shown, and only then it leaves the table: whoever dies in between begins again.
    assert table.rows.get(oldest) == b""
    assert oldest in table.ledger.outdated()[3]
    assert await table.ledger.tidy() == []
    assert days[0] in table.store
    table.ledger.shown_again()
    assert await table.ledger.tidy() == [(3, days[0], None)]
    assert oldest not in table.shown(3)
    await until_tidy(table)
    assert Table(dict(table.store)).shown(3) == {k: v for k, v in table.shown(3).items() if v != b"0 0 0 0"}


async def test_a_recovery_reads_of_a_day_that_was_closed_and_then_removed() -> None:
    old, new = same_partition(2)
    table = Table({})
    table.take(request(old, HOUR), 0, HOUR)
    table.take(request(new, LATER), 1, LATER)
    (closed,) = await table.ledger.tidy()
    again = Table({})
    again.ledger.recovered(3, closed[1], True)
    again.ledger.recovered(3, closed[1], False)  # Faust has taken it out of the store
    again.ledger.settle(frozenset(range(8)))
    assert not [key for key in again.shown(3) if b":h:" in key]


def test_a_row_that_a_recovery_no_longer_finds_is_shown_as_gone() -> None:
    """What a batch had moved elsewhere when a rebalance cut it off is not among the rows any more."""
    (name,) = same_partition(1)
    table = Table({})
    table.take(request(name, HOUR), 0, HOUR)
    rows = [key for key in table.shown(3) if b":h:" in key or b":q:" in key]
    del table.store[name.encode()]
    table.ledger.settle(frozenset(range(8)))
    assert rows
    assert {table.rows.get(key) for key in rows} == {b""}
