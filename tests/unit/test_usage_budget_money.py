"""The money that budgets count: there from the first moment on, and anew in every partition when a price changes."""

import os
from pathlib import Path

from schemas.usage_ledger import HOUR_MS
from streams.metering.price_file import BudgetPrices
from streams.tables.partitions import job_partition
from tests.unit.test_usage_closing import LATER, Table, request, same_partition
from tests.unit.test_usage_ledger import HOUR

IN_PARTITIONS = {job_partition(f"r{n}"): f"r{n}" for n in range(200)}


def priced(file: Path, page: int) -> None:
    """Write the file of prices; its time is set, for two writes may fall into one tick of the clock."""
    file.write_text(f"prices: {{m: [{{since: 2020-01-01, page: {page}}}]}}")
    os.utime(file, ns=(page, page))


def money(table: Table) -> dict[int, int]:
    """The money of whole services, by partition."""

    def of(partition: int) -> int:
        sums = {key: text for key, text in table.shown(partition).items() if b":q:" in key and text}
        return sum(int(text.split()[3]) for key, text in sums.items() if text and key.endswith(b"|"))

    return {partition: of(partition) for partition in IN_PARTITIONS}


def filled(prices: BudgetPrices | None = None) -> Table:
    """A table with a request of 3 pages in each partition."""
    table = Table({}, prices)
    for name in IN_PARTITIONS.values():
        table.take(request(name, HOUR), 0, HOUR)
    return table


def test_after_a_restart_money_is_there_before_any_event_came(tmp_path: Path) -> None:
    priced(tmp_path / "models.yml", 5)
    again = Table(filled().store, BudgetPrices(tmp_path / "models.yml"))
    assert money(again) == dict.fromkeys(range(8), 15_000_000)


async def test_the_money_of_closed_days_is_there_after_a_restart(tmp_path: Path) -> None:
    old, new = same_partition(2)
    table = Table({})
    table.take(request(old, HOUR), 0, HOUR)
    table.take(request(new, LATER), 1, LATER)
    while await table.ledger.tidy() or old.encode() in table.store:
        pass
    priced(tmp_path / "models.yml", 5)
    assert money(Table(table.store, BudgetPrices(tmp_path / "models.yml")))[3] == 30_000_000


def test_another_price_is_shown_in_every_partition_that_is_held(tmp_path: Path) -> None:
    file = tmp_path / "models.yml"
    priced(file, 5)
    table = filled(BudgetPrices(file))
    assert money(table) == dict.fromkeys(range(8), 15_000_000)
    table.ledger.outdated()
    table.ledger.shown_again()
    assert table.ledger.outdated() == {}
    priced(file, 7)
    outdated = {p: set(keys) for p, keys in table.ledger.outdated().items()}
    assert outdated == {p: {key for key in table.shown(p) if b":q:" in key} for p in range(8)}
    assert all(outdated.values())
    assert money(table) == dict.fromkeys(range(8), 21_000_000)
    assert table.ledger.outdated(), "until it is shown: Redis may have been away"
    table.ledger.shown_again()
    assert table.ledger.outdated() == {}


def test_what_comes_after_a_restart_is_added_to_what_was_spent(tmp_path: Path) -> None:
    priced(tmp_path / "models.yml", 5)
    again = Table(filled().store, BudgetPrices(tmp_path / "models.yml"))
    another = next(name for name in same_partition(200) if name != IN_PARTITIONS[3])
    again.take(request(another, HOUR + HOUR_MS), 9, HOUR + HOUR_MS)
    assert money(again)[3] == 30_000_000
