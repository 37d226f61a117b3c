"""Rows of the usage report: what a ledger entry adds to which hour, and how hours make days.

Amounts are whole numbers (durations in milliseconds), so that a sum does not depend on its order.
"""

from collections.abc import Iterable, Mapping
from operator import add, sub
from typing import NamedTuple

from schemas.events import UsageEvent
from schemas.usage_ledger import (
    DAY_MS,
    HOUR_MS,
    SETTLED_MS,
    LedgerEntry,
    charged,
    ending,
    late_times,
    measured_before,
)

MEASURES = ("prompt_tokens", "completion_tokens", "pages", "audio_ms", "work_ms", "bytes_in")
COLUMNS = ("requests", "attempts", "estimated", *MEASURES, *(f"waste_{m}" for m in MEASURES))
"""The amounts of a row, in their order; new ones go to the end.

`estimated` counts charged records whose tokens were estimated.
"""

WIDTH = len(COLUMNS)
_M = len(MEASURES)
_NO_MEASURES = (0,) * _M

LEDGER_ZONE = "Asia/Seoul"
LEDGER_OFFSET_MS = 9 * HOUR_MS
"""The time zone of the ledger's days, by which prices change too; it has no summer time."""

Amounts = tuple[int, ...]
ZERO: Amounts = (0,) * WIDTH


class RowId(NamedTuple):
    """What a row is about. `start_ms` is the begin of its hour, or of its day in the ledger's zone."""

    start_ms: int
    service: str
    key: str
    module: str
    model: str
    upstream: str
    lane: str
    outcome: str


Rows = Mapping[RowId, Amounts]


def measures_of(event: UsageEvent) -> Amounts:
    """Return what an event measured, in the order of MEASURES."""
    used = event.usage
    return (
        used.prompt_tokens,
        used.completion_tokens,
        used.pages,
        round(used.audio_seconds * 1000),
        round(used.work_seconds * 1000),
        used.bytes_in,
    )


def entry_rows(entry: LedgerEntry) -> dict[RowId, Amounts]:
    """Return what one request adds, by hour.

    The days of what was settled long ago are closed, and a statement may be out. When a dead letter is replayed
    after that, what it changes in them is booked in the hour of the replay: less than nothing, where the failure
    that was charged becomes waste. A second replay may be as late again: what it changes in the hour of the first,
    the first's corrections included, is booked in its own.
    """
    late = late_times(entry)
    if not late:
        return _rows(entry)
    held = _rows(measured_before(entry, late[0]))
    rows = dict(held)
    for at_ms in late:
        after = _rows(measured_before(entry, at_ms + 1))
        differences: dict[RowId, Amounts] = {}
        add_difference(differences, held, after)
        for row, amounts in differences.items():
            settled = row.start_ms + SETTLED_MS <= at_ms
            at = row._replace(start_ms=at_ms // HOUR_MS * HOUR_MS) if settled else row
            rows[at] = added(rows[at], amounts) if at in rows else amounts
        held = after
    return {row: amounts for row, amounts in rows.items() if amounts != ZERO}


def _rows(entry: LedgerEntry) -> dict[RowId, Amounts]:
    counted = charged(entry)
    last = ending(counted)
    if len(entry.records) == 1:  # as of nearly all, of a million at a recovery
        (record,) = entry.records
        return {_row(record.event): _amounts(record.event, is_charged=bool(counted), is_last=last is not None)}
    offsets = {record.offset for record in counted}
    rows: dict[RowId, Amounts] = {}
    for record in entry.records:
        amounts = _amounts(record.event, is_charged=record.offset in offsets, is_last=record is last)
        row = _row(record.event)
        rows[row] = added(rows[row], amounts) if row in rows else amounts
    return rows


def _row(event: UsageEvent) -> RowId:
    return RowId(
        event.measured_at_ms // HOUR_MS * HOUR_MS,
        event.service,
        event.key_id,
        event.module,
        event.model,
        event.upstream,
        event.lane,
        event.outcome,
    )


def _amounts(event: UsageEvent, *, is_charged: bool, is_last: bool) -> Amounts:
    used = measures_of(event)
    if is_charged:
        return (int(is_last), 1, int(event.usage.estimated), *used, *_NO_MEASURES)
    return (0, 1, 0, *_NO_MEASURES, *used)


def added(a: Amounts, b: Amounts) -> Amounts:
    """Return the sum of two rows' amounts."""
    return tuple(map(add, a, b))


def subtracted(a: Amounts, b: Amounts) -> Amounts:
    """Return what is left of `a` without `b`."""
    return tuple(map(sub, a, b))


def add_difference(total: dict[RowId, Amounts], before: Rows, after: Rows) -> None:
    """Add to `total` what `after` has more than `before`; what is in neither stays as it is."""
    for row, amounts in after.items():
        old = before.get(row)
        if old is not None:
            amounts = subtracted(amounts, old)
        held = total.get(row)
        total[row] = amounts if held is None else added(held, amounts)
    for row, amounts in before.items():
        if row not in after:
            total[row] = subtracted(total.get(row, ZERO), amounts)


def day_of(row: RowId) -> RowId:
    """Return the row of the day, in the ledger's zone, to which a row of an hour belongs."""
    return row._replace(start_ms=day_start_ms(row.start_ms))


def day_start_ms(at_ms: int) -> int:
    """Return when the day of the ledger's zone began in which `at_ms` lies."""
    return (at_ms + LEDGER_OFFSET_MS) // DAY_MS * DAY_MS - LEDGER_OFFSET_MS


def sum_rows(parts: Iterable[Rows]) -> dict[RowId, Amounts]:
    """Add up rows, of entries or of partitions."""
    total: dict[RowId, Amounts] = {}
    for part in parts:
        for row, amounts in part.items():
            held = total.get(row)
            total[row] = amounts if held is None else added(held, amounts)
    return total
