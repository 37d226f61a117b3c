"""The usage report: rows grouped as asked for, with what they cost; and its CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from schemas.prices import Price, PriceList
from schemas.usage_query import UsageQuery
from schemas.usage_rows import COLUMNS, LEDGER_OFFSET_MS, ZERO, Amounts, RowId, added

_AT = {name: place for place, name in enumerate(COLUMNS)}
_PLACES = Decimal("0.000001")
_FREE = Decimal(0)

CHARGED = ("requests", "prompt_tokens", "completion_tokens", "pages", "audio_seconds", "work_seconds", "bytes_in")
WASTED = ("prompt_tokens", "completion_tokens", "pages", "audio_seconds", "work_seconds", "bytes_in")

_SOLD_AT = tuple(_AT[name] for name in ("prompt_tokens", "completion_tokens", "pages", "audio_ms"))

BOM = "\ufeff"
"""By it spreadsheets know that a CSV is UTF-8."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One group: its columns in the order asked for, its amounts and what they cost."""

    group: tuple[str, ...]
    amounts: Amounts
    cost: Decimal
    waste_cost: Decimal

    def document(self, columns: Sequence[str]) -> dict[str, Any]:
        """Return the row for JSON; seconds and cost are numbers, cost to six places."""
        row: dict[str, Any] = dict(zip(columns, self.group, strict=True))
        row.update((name, _shown(self.amounts, name)) for name in CHARGED)
        row["cost"] = _number(self.cost)
        row["attempts"] = self.amounts[_AT["attempts"]]
        row["estimated"] = self.amounts[_AT["estimated"]]
        row["waste"] = {name: _shown(self.amounts, f"waste_{name}") for name in WASTED}
        row["waste"]["cost"] = _number(self.waste_cost)
        return row


@dataclass(frozen=True, slots=True)
class Report:
    """A report's rows, ordered by their groups. `unpriced` names the models that no price was set for."""

    query: UsageQuery
    rows: tuple[ReportRow, ...]
    currency: str = ""
    unpriced: tuple[str, ...] = field(default_factory=tuple[str, ...])

    @property
    def total(self) -> ReportRow:
        """All rows together."""
        amounts = ZERO
        for row in self.rows:
            amounts = added(amounts, row.amounts)
        cost = sum((row.cost for row in self.rows), Decimal(0))
        return ReportRow((), amounts, cost, sum((row.waste_cost for row in self.rows), Decimal(0)))


def make_report(rows: Mapping[RowId, Amounts], query: UsageQuery, prices: PriceList) -> Report:
    """Group rows and price them. Prices change with the days of the ledger's zone, whatever the report's is."""
    # By group and price first: a price is the same for each unit, so a sum is priced once.
    sums: dict[tuple[tuple[str, ...], int], Amounts] = {}
    # By number: a price is a record of decimals, which takes long to hash for each of 50,000 rows.
    numbers: dict[Price | None, int] = {}
    found: dict[tuple[str, str, int], int] = {}
    unpriced: set[str] = set()
    label = lru_cache(maxsize=None)(query.label)
    columns = [(c, -1 if c in ("day", "hour") else RowId._fields.index(c)) for c in query.group_by]
    for row, amounts in rows.items():
        start_ms = row.start_ms
        fields: Any = row
        group = tuple([label(c, start_ms) if place < 0 else fields[place] for c, place in columns])
        name = row.model, row.upstream, start_ms
        number = found.get(name)
        if number is None:
            price = prices.price_of(row, ledger_day(start_ms))
            number = found[name] = numbers.setdefault(price, len(numbers))
        held = sums.get((group, number))
        sums[group, number] = amounts if held is None else added(held, amounts)
        if number == numbers.get(None) and any(map(amounts.__getitem__, _SOLD_AT)):
            unpriced.add(row.model or row.module)
    priced = list(numbers)
    totals: dict[tuple[str, ...], ReportRow] = {}
    for (group, number), amounts in sums.items():
        price = priced[number]
        costs = (
            (price.cost(amounts), price.cost(amounts, waste=True)) if price is not None else (Decimal(0), Decimal(0))
        )
        held = totals.get(group)
        totals[group] = (
            ReportRow(group, amounts, *costs)
            if held is None
            else ReportRow(group, added(held.amounts, amounts), held.cost + costs[0], held.waste_cost + costs[1])
        )
    return Report(query, tuple(totals[group] for group in sorted(totals)), prices.currency, tuple(sorted(unpriced)))


@lru_cache(maxsize=4_096)
def ledger_day(at_ms: int) -> date:
    """Return the day of the ledger's zone in which a time lies."""
    return (datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(milliseconds=LEDGER_OFFSET_MS)).date()


def to_csv(report: Report) -> str:
    """Return a report as CSV for spreadsheets: UTF-8 with its mark, and no cell that is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    columns = report.query.group_by
    waste = [f"waste_{name}" for name in WASTED]
    writer.writerow([*columns, *CHARGED, "cost", "currency", "attempts", "estimated", *waste, "waste_cost"])
    for row in report.rows:
        shown = row.document(columns)
        writer.writerow(
            [
                *map(_harmless, row.group),
                *(shown[name] for name in CHARGED),
                _plain(row.cost),
                report.currency,
                shown["attempts"],
                shown["estimated"],
                *(shown["waste"][name] for name in WASTED),
                _plain(row.waste_cost),
            ]
        )
    return BOM + out.getvalue()


def _shown(amounts: Amounts, name: str) -> int | float:
    place = _AT.get(name)
    return amounts[place] if place is not None else amounts[_AT[name.removesuffix("_seconds") + "_ms"]] / 1000


def _number(cost: Decimal) -> float:
    return float(cost.quantize(_PLACES, ROUND_HALF_UP))


def _plain(cost: Decimal) -> str:
    text = f"{cost.quantize(_PLACES, ROUND_HALF_UP):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
