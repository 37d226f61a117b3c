"""Reports: periods, groups, prices by the day, and a CSV that a spreadsheet opens."""

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import InvalidInput
from schemas.prices import Price, PriceList
from schemas.usage_query import COLUMNS_TO_GROUP, UsageQuery, month_period, usage_query
from schemas.usage_report import BOM, make_report, to_csv
from schemas.usage_rows import COLUMNS, DAY_MS, HOUR_MS, Amounts, RowId

NOW = 1_800_000_000_000  # 2027-01-15T17:00+09:00
SEOUL_DAY = 1_799_938_800_000  # 2027-01-15T00:00+09:00


def query(**given: Any) -> UsageQuery:
    """A query in which only what is given is not left out."""
    empty: dict[str, Any] = {"start": None, "end": None, "group_by": None, "zone": None, "service": None}
    return usage_query(**{**empty, "now_ms": NOW, **given})


def amounts(**given: int) -> Amounts:
    """A row's amounts."""
    return tuple(given.get(name, 0) for name in COLUMNS)


def row(at_ms: int = SEOUL_DAY, **given: str) -> RowId:
    """A row."""
    return RowId(at_ms, **{**dict.fromkeys(RowId._fields[1:], "x"), **given})


def test_without_a_period_it_is_the_month_up_to_today() -> None:
    asked = query()
    assert asked.label("hour", asked.from_ms) == "2027-01-01T00:00+09:00"
    assert asked.label("hour", asked.to_ms) == "2027-01-16T00:00+09:00"
    assert asked.by_day


def test_a_date_as_the_end_includes_its_day_and_times_are_widened_to_hours() -> None:
    day = query(start="2027-01-15", end="2027-01-15")
    assert (day.from_ms, day.to_ms - day.from_ms) == (SEOUL_DAY, DAY_MS)
    times = query(start="2027-01-15T10:20:00+09:00", end="2027-01-15T10:40:00 09:00")  # a + that became a blank
    assert (times.to_ms - times.from_ms, times.by_day) == (HOUR_MS, False)


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("reversed_period", {"start": "2027-01-02", "end": "2027-01-01"}),
        ("reversed_period", {"start": "2027-01-02T00:00Z", "end": "2027-01-02T00:00Z"}),
        ("period_too_long", {"start": "2020-01-01"}),
        ("period_too_long", {"start": "0001-01-01"}),
        ("invalid_time", {"start": "gestern"}),
        ("invalid_time", {"end": "9999-12-31"}),
        ("invalid_time", {"start": "2027-02-30"}),
        ("unknown_column", {"group_by": "service,colour"}),
        ("invalid_timezone", {"zone": "../../etc/passwd"}),
        ("invalid_timezone", {"zone": "Asia/Kolkata"}),
    ],
)
def test_what_cannot_be_asked_is_refused(code: str, given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as raised:
        query(**given)
    assert raised.value.code == code


def test_days_follow_the_time_zone_of_the_report() -> None:
    rows = {row(SEOUL_DAY): amounts(requests=1), row(SEOUL_DAY + 10 * HOUR_MS): amounts(requests=2)}
    here = make_report(rows, query(group_by="day"), PriceList())
    there = make_report(rows, query(group_by="day", zone="UTC"), PriceList())
    assert [(r.group, r.amounts[0]) for r in here.rows] == [(("2027-01-15",), 3)]
    assert [(r.group, r.amounts[0]) for r in there.rows] == [(("2027-01-14",), 1), (("2027-01-15",), 2)]
    assert not query(group_by="day", zone="UTC").by_day


def test_each_day_costs_what_held_on_it() -> None:
    prices = PriceList(
        "KRW",
        {
            ("m", "u"): (
                Price(date(2027, 1, 1), prompt=Decimal(10), completion=Decimal(20)),
                Price(date(2027, 1, 15), prompt=Decimal(1)),
            ),
            ("tesseract*", ""): (Price(date(2027, 1, 1), page=Decimal(3), second=Decimal("0.5")),),
        },
    )
    rows = {
        row(SEOUL_DAY - HOUR_MS, model="m", upstream="u"): amounts(prompt_tokens=1_000_000, completion_tokens=500_000),
        row(SEOUL_DAY, model="m", upstream="u"): amounts(prompt_tokens=1_000_000, waste_prompt_tokens=2_000_000),
        row(SEOUL_DAY, model="tesseract-5.3", upstream=""): amounts(pages=2, work_ms=4_000),
        row(SEOUL_DAY, model="other", upstream=""): amounts(pages=2),
    }
    report = make_report(rows, query(group_by=""), prices)
    assert report.total.cost == Decimal(20) + Decimal(1) + Decimal(8)
    assert report.total.waste_cost == Decimal(2)
    assert report.unpriced == ("other",)


def test_a_price_of_tomorrow_prices_nothing() -> None:
    prices = PriceList("KRW", {("x", "x"): (Price(date(2027, 1, 16), page=Decimal(3)),)})
    report = make_report({row(): amounts(pages=1)}, query(), prices)
    assert (report.total.cost, report.unpriced) == (Decimal(0), ("x",))


def test_the_csv_has_its_mark_korean_text_and_no_formulas() -> None:
    rows = {row(module="공문", model="=1+1"): amounts(requests=1, work_ms=1_500)}
    text = to_csv(make_report(rows, query(group_by="module,model"), PriceList("KRW")))
    assert text.startswith(BOM)
    (line,) = csv.DictReader(io.StringIO(text.removeprefix(BOM)))
    assert (line["module"], line["model"], line["work_seconds"]) == ("공문", "'=1+1", "1.5")


def test_a_month_has_its_first_and_last_day() -> None:
    assert month_period("2028-02") == ("2028-02-01", "2028-02-29")
    with pytest.raises(InvalidInput):
        month_period("2028-13")


def test_it_is_grouped_by_any_column() -> None:
    rows = {
        row(SEOUL_DAY + n * HOUR_MS, **{name: f"{name}-{n % 2}" for name in RowId._fields[1:]}): amounts(requests=1)
        for n in range(25)
    }
    for column in COLUMNS_TO_GROUP:
        made = make_report(rows, query(group_by=column), PriceList())
        assert made.total.amounts[COLUMNS.index("requests")] == 25
        assert len(made.rows) == {"day": 2, "hour": 25}.get(column, 2)
        (first, *_) = made.rows
        assert first.group[0].startswith({"day": "2027-01-15", "hour": "2027-01-15T00:00"}.get(column, f"{column}-0"))


def test_a_group_whose_rows_have_several_prices_costs_their_sum() -> None:
    prices = PriceList("KRW", {("a", ""): (Price(date(2020, 1, 1), page=Decimal(3)),)})
    rows = {
        row(model="a", upstream=""): amounts(pages=2, waste_pages=1),
        row(model="b", upstream=""): amounts(pages=5),
        row(SEOUL_DAY + HOUR_MS, model="a", upstream=""): amounts(pages=4),
    }
    (one,) = make_report(rows, query(group_by="service"), prices).rows
    assert (one.cost, one.waste_cost, one.amounts[COLUMNS.index("pages")]) == (Decimal(18), Decimal(3), 11)
