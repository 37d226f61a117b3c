"""What a proof of the usage report has found, and how what is shown is compared with what the log makes. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

from schemas.prices import PriceList
from schemas.usage_ledger import DAY_MS, LedgerEntry
from schemas.usage_query import UsageQuery, month_period
from schemas.usage_rows import LEDGER_OFFSET_MS, Amounts, RowId, Rows, day_of, entry_rows, sum_rows
from streams.log.kafka_times import Range
from streams.metering.reader import EverythingFound
from streams.metering.spent import Spent, SumAmounts, SumId
from streams.tables.partitions import job_partition

HOUR = "hour"
DAY = "day"
_NAMED = 20
_NOTHING = SumAmounts(0, 0, 0, 0)
_LEDGER_ZONE = timezone(timedelta(milliseconds=LEDGER_OFFSET_MS))


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of an hour or a day that is not as the log makes it; None stands for no row.

    `requests` are some that make it.
    """

    level: str
    row: RowId
    reported: Amounts | None
    recomputed: Amounts | None
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SumDifference:
    """A month's sum, of which budgets are counted, that is not as the log makes it."""

    about: SumId
    reported: SumAmounts
    recomputed: SumAmounts


@dataclass(slots=True)
class Proof:
    """What was found.

    Only `differences`, `sums`, `unmetered` and `wrongly_refused` mean that the report, or a budget, is wrong.
    Jobs and calls could be checked from `jobs_since_ms` and `calls_since_ms` on, for the log holds them for a shorter
    time than the ledger; None where nothing of the period was missing. `money`: whether it was compared.
    """

    events: int = 0
    requests: int = 0
    rows: int = 0
    jobs: int = 0
    calls: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    sums: list[SumDifference] = field(default_factory=list[SumDifference])
    unmetered: dict[str, str] = field(default_factory=dict[str, str])
    wrongly_refused: list[str] = field(default_factory=list[str])
    conflicts: list[str] = field(default_factory=list[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    pending: int = 0
    jobs_since_ms: int | None = None
    calls_since_ms: int | None = None
    money: bool = True

    @property
    def holds(self) -> bool:
        """Whether the report is what the log makes it."""
        return not (self.differences or self.sums or self.unmetered or self.wrongly_refused)


def checked_since(ranges: Iterable[Range], begin_ms: int, now_ms: int) -> int | None:
    """Return from when on a topic still has every record of a period that begins at a time; None: all of it."""
    # Of a partition that retention has emptied nothing before now is known.
    removed = [now_ms if at.first_ms is None else at.first_ms for at in ranges if at.first > 0]
    since_ms = max(removed, default=0)
    return since_ms if since_ms > begin_ms else None


def compare(
    shown: EverythingFound,
    entries: Mapping[str, LedgerEntry],
    query: UsageQuery,
    prices: PriceList | None,
    now_ms: int,
    proof: Proof,
) -> None:
    """Compare rows of hours, and of days and sums of months that the period holds whole.

    Without prices, money is not compared.
    """
    by_request = {request: entry_rows(entry) for request, entry in entries.items()}
    parts: defaultdict[int, list[Rows]] = defaultdict(list)
    for request, rows in by_request.items():
        parts[job_partition(request)].append(rows)
    by_partition = {partition: sum_rows(rows) for partition, rows in parts.items()}
    hours = sum_rows(by_partition.values())
    days = sum_rows({day_of(row): amounts} for row, amounts in hours.items())

    def in_period(row: RowId) -> bool:
        return query.from_ms <= row.start_ms < query.to_ms

    def whole(start_ms: int, end_ms: int) -> bool:
        # Nothing was measured after now: a bucket that is still open is whole up to here.
        return query.from_ms <= start_ms < query.to_ms and (end_ms <= query.to_ms or now_ms <= query.to_ms)

    def whole_day(row: RowId) -> bool:
        return whole(row.start_ms, row.start_ms + DAY_MS)

    proof.rows = sum(map(in_period, hours))
    for level, said, made, within in ((HOUR, shown.hours, hours, in_period), (DAY, shown.days, days, whole_day)):
        wrong = _differing(said, made, within)
        named = _makers(by_request, frozenset(wrong), day_of if level == DAY else None)
        for row in wrong:
            proof.differences.append(Difference(level, row, said.get(row), made.get(row), tuple(named[row][:_NAMED])))
    spent = Spent(prices)
    for partition, rows in by_partition.items():
        for row, amounts in rows.items():
            spent.add(partition, row, amounts)
    months = dict(spent.everything())
    for about in sorted(shown.sums.keys() | months.keys()):
        said, is_so = shown.sums.get(about, _NOTHING), months.get(about, _NOTHING)
        if whole(*month_ms(about.month)) and not _same(said, is_so, priced=prices is not None):
            proof.sums.append(SumDifference(about, said, is_so))


def month_ms(month: str) -> tuple[int, int]:
    """Return when a month of the ledger's zone, such as `2026-11`, begins and ends."""
    first, last = (date.fromisoformat(day) for day in month_period(month))
    return _midnight_ms(first), _midnight_ms(last + timedelta(days=1))


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=_LEDGER_ZONE).timestamp() * 1000)


def _differing(
    reported: Mapping[RowId, Amounts], recomputed: Mapping[RowId, Amounts], within: Callable[[RowId], bool]
) -> list[RowId]:
    every = sorted(reported.keys() | recomputed.keys())
    return [row for row in every if within(row) and reported.get(row) != recomputed.get(row)]


def _makers(
    by_request: Mapping[str, Rows], wrong: frozenset[RowId], of: Callable[[RowId], RowId] | None
) -> defaultdict[RowId, list[str]]:
    """Return the requests that make each of these rows, ordered; `of` tells to which row one of an hour belongs."""
    makers: defaultdict[RowId, list[str]] = defaultdict(list)
    if wrong:
        for request in sorted(by_request):
            for row in {of(row) if of else row for row in by_request[request]} & wrong:
                makers[row].append(request)
    return makers


def _same(a: SumAmounts, b: SumAmounts, *, priced: bool) -> bool:
    # Money is rounded to millionths from sums whose last places depend on their order.
    return a[:3] == b[:3] and (not priced or abs(a.money - b.money) <= 1)
