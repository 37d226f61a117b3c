"""The proof of the usage report: what is compared, and which end of a job excuses that usage is missing."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from schemas.events import ErrorInfo, JobResult, Step
from schemas.prices import Price, PriceList
from schemas.usage_ledger import DAY_MS, HOUR_MS, LedgerEntry, fold_usage
from schemas.usage_query import UsageQuery
from schemas.usage_rows import Amounts, RowId, added, day_of, day_start_ms, entry_rows
from streams.log.kafka_times import Range
from streams.metering.ends import Measured, Metered, excuse, missing_steps, unread
from streams.metering.proof import DAY, HOUR, Proof, checked_since, compare, month_ms
from streams.metering.reader import EverythingFound
from streams.metering.spent import Spent, SumAmounts, SumId
from streams.tables.log_expiry import LOG_EXPIRED
from streams.tables.partitions import job_partition
from tests.builders import job_ref
from tests.unit.test_usage_ledger import HOUR as AT
from tests.unit.test_usage_ledger import usage

PRICES = PriceList("KRW", {("m", "u"): (Price(date(2020, 1, 1), page=Decimal(7)),)})
FROM, TO = month_ms("2027-01")
NOW = TO + DAY_MS


def entries(*at_ms: int) -> dict[str, LedgerEntry]:
    """A ledger of one finished job a time."""
    events = [
        replace(usage(measured_at_ms=at, final=True), event_id=f"e{n}", request_id=f"r{n}")
        for n, at in enumerate(at_ms)
    ]
    return {event.request_id: fold_usage(None, event, n) for n, event in enumerate(events)}


def shown(ledger: Mapping[str, LedgerEntry]) -> EverythingFound:
    """What stands in Redis when all is well."""
    hours, days, spent = dict[RowId, Amounts](), dict[RowId, Amounts](), Spent(PRICES)
    for request, entry in ledger.items():
        rows = entry_rows(entry)
        for row, amounts in rows.items():
            spent.add(job_partition(request), row, amounts)
            for at, into in ((row, hours), (day_of(row), days)):
                into[at] = added(into[at], amounts) if at in into else amounts
    return EverythingFound(hours, days, dict(spent.everything()), (0,) * 8)


def proof(
    found: EverythingFound,
    ledger: Mapping[str, LedgerEntry],
    begin: int = FROM,
    end: int = TO,
    prices: PriceList | None = PRICES,
    now: int = NOW,
) -> Proof:
    made = Proof()
    compare(found, ledger, UsageQuery(begin, end, (), "Asia/Seoul"), prices, now, made)
    return made


def test_what_is_as_the_log_makes_it_has_no_differences() -> None:
    ledger = entries(AT, AT + HOUR_MS, AT + 2 * DAY_MS)
    found = proof(shown(ledger), ledger)
    assert (found.holds, found.rows, found.differences, found.sums) == (True, 3, [], [])


def test_a_day_that_does_not_add_up_is_found_with_the_requests_that_make_it() -> None:
    ledger = entries(AT, AT + HOUR_MS, AT + 2 * DAY_MS)
    good = shown(ledger)
    wrong = next(row for row in good.days if row.start_ms == day_start_ms(AT))
    found = proof(replace(good, days={**good.days, wrong: added(good.days[wrong], good.days[wrong])}), ledger)
    assert [(d.level, d.row, d.requests) for d in found.differences] == [(DAY, wrong, ("r0", "r1"))]
    gone = proof(replace(good, days={row: n for row, n in good.days.items() if row != wrong}), ledger)
    assert [(d.level, d.reported) for d in gone.differences] == [(DAY, None)]
    assert not gone.holds


def test_an_hour_that_nothing_makes_is_found() -> None:
    ledger = entries(AT)
    good = shown(ledger)
    ghost = next(iter(good.hours))._replace(service="ghost")
    found = proof(replace(good, hours={**good.hours, ghost: next(iter(good.hours.values()))}), ledger)
    assert [(d.level, d.row, d.recomputed, d.requests) for d in found.differences] == [(HOUR, ghost, None, ())]


@pytest.mark.parametrize("column", SumAmounts._fields)
def test_a_sum_of_a_budget_that_is_wrong_is_found(column: str) -> None:
    ledger = entries(AT)
    good = shown(ledger)
    about = SumId(job_partition("r0"), "mail-room", "2027-01", "")
    assert good.sums[about] == SumAmounts(10, 3, 0, 21_000_000)
    off = good.sums[about]._replace(**{column: 5})
    found = proof(replace(good, sums={**good.sums, about: off}), ledger)
    assert [(s.about, s.reported, s.recomputed) for s in found.sums] == [(about, off, good.sums[about])]
    assert not found.holds


def test_a_sum_that_is_gone_is_found_and_one_of_nothing_may_be_there() -> None:
    ledger = entries(AT)
    good = shown(ledger)
    assert len(proof(replace(good, sums={}), ledger).sums) == 2
    empty = {SumId(0, "other", "2027-01", ""): SumAmounts(0, 0, 0, 0)}
    assert proof(replace(good, sums={**good.sums, **empty}), ledger).holds


def test_money_is_compared_to_a_millionth_and_not_without_prices() -> None:
    ledger = entries(AT)
    good = shown(ledger)

    def off_by(micros: int) -> EverythingFound:
        return replace(good, sums={about: s._replace(money=s.money + micros) for about, s in good.sums.items()})

    assert proof(off_by(1), ledger).holds
    assert not proof(off_by(2), ledger).holds
    assert proof(off_by(2), ledger, prices=None).holds


def test_days_and_months_that_a_period_cuts_are_not_compared() -> None:
    ledger = entries(AT)
    good = shown(ledger)
    nothing = replace(good, days={}, sums={})
    day = day_start_ms(AT)
    assert proof(nothing, ledger, day + HOUR_MS, day + DAY_MS).holds
    assert proof(nothing, ledger, day, day + DAY_MS - HOUR_MS).holds
    whole = proof(nothing, ledger, day, day + DAY_MS)
    assert ([d.level for d in whole.differences], whole.sums) == ([DAY], [])
    # Up to now a day and its month are whole, although they go on.
    still_open = proof(nothing, ledger, FROM, AT + HOUR_MS, now=AT + HOUR_MS)
    assert ([d.level for d in still_open.differences], len(still_open.sums)) == ([DAY], 2)


def test_jobs_and_calls_can_be_checked_from_where_every_partition_has_all_of_them() -> None:
    whole, newer, older = Range(0, 9, 0, FROM + 50), Range(4, 9, 4, FROM + 20), Range(4, 9, 4, FROM + 10)
    assert checked_since([whole, whole], FROM, NOW) is None
    assert checked_since([whole, newer, older], FROM, NOW) == FROM + 20
    assert checked_since([newer, older], FROM + 20, NOW) is None
    assert checked_since([older, Range(9, 9, 9, None)], FROM, NOW) == NOW
    assert checked_since([Range(0, 0, 0, None)], FROM, NOW) is None


STEPS = (Step("ocr", "ocr"), Step("extract", "gongmun.extract"), Step("check", "llm"))


def ended(status: str, stage: str = "", code: str = "", epoch: int = 0) -> JobResult:
    error = ErrorInfo(code, "", stage) if code else None
    step = stage if code != LOG_EXPIRED else ""
    return JobResult("r", replace(job_ref(), epoch=epoch), status, STEPS, error=error, step=step)


def metered(*steps: str, epoch: int = 0, outcome: str = "done", final: bool = False) -> dict[str, set[Measured]]:
    """Usage of these steps, each done unless told otherwise."""
    return {step: {Measured(epoch, outcome, final)} for step in steps}


END = metered("check", final=True)


@pytest.mark.parametrize(
    ("result", "found", "begun", "missing"),
    [
        (ended("done", "check"), metered("ocr", "extract") | END, (), ()),
        (ended("done", "check"), metered("extract"), (), ("ocr", "check")),
        (ended("done", "check"), metered("ocr", "extract", "check"), (), ("check",)),
        (ended("done", "check"), metered("ocr") | metered("extract", outcome="failed") | END, (), ("extract",)),
        (ended("failed", "ocr", "invalid_document"), {}, (), ("ocr",)),
        (ended("failed", "extract", "invalid_document"), metered("extract", final=True), (), ("ocr",)),
        (ended("failed", "extract", "invalid_document"), metered("ocr", "extract"), (), ("extract",)),
        (ended("failed", "extract", "invalid_document"), metered("ocr") | metered("extract", final=True), (), ()),
        (ended("failed", "", "internal"), {}, (), ("ocr",)),
        (ended("failed", "", "internal"), metered("ocr"), (), ()),
        (ended("failed", "ocr", LOG_EXPIRED), {}, (), ()),
        (ended("failed", "extract", LOG_EXPIRED), {}, (), ("ocr",)),
        (ended("cancelled"), {}, (), ()),
        (ended("cancelled"), metered("extract"), (), ("ocr",)),
        (ended("cancelled"), metered("ocr"), {"extract"}, ("extract",)),
        (ended("cancelled"), {}, {"extract"}, ("ocr", "extract")),
    ],
)
def test_the_steps_that_were_at_work_must_have_usage(
    result: JobResult, found: Metered, begun: Collection[str], missing: tuple[str, ...]
) -> None:
    assert missing_steps(result, found, set(begun)) == missing


def test_an_end_needs_the_usage_of_its_own_epoch() -> None:
    """A dead letter that was replayed goes on from the step that had failed."""
    before = metered("ocr") | metered("extract", outcome="failed", final=True)
    again = ended("done", "check", epoch=1)
    assert missing_steps(again, before, set()) == ("extract", "check")
    new = metered("extract", epoch=1) | metered("check", epoch=1, final=True)
    assert missing_steps(again, before | new, set()) == ()
    assert missing_steps(again, before | new | metered("check", final=True), set()) == ("check",)
    assert missing_steps(ended("failed", "extract", "invalid", epoch=1), before, set()) == ("extract",)
    assert missing_steps(ended("cancelled"), metered("ocr", epoch=1), set()) == ("ocr",)


def test_only_what_nobody_read_is_excused() -> None:
    assert unread(ended("cancelled"), set()) == "cancelled before its request was read"
    assert unread(ended("cancelled"), {"ocr"}) == ""
    assert unread(ended("failed", "extract", LOG_EXPIRED), {"ocr"}) == "failed: log_expired"
    assert unread(ended("failed", "extract", LOG_EXPIRED), {"ocr", "extract"}) == ""
    assert unread(ended("failed", "ocr", "invalid_document"), set()) == ""


def test_a_refusal_excuses_the_steps_that_it_is_about() -> None:
    assert excuse(("ocr",), {"ocr": "too_late"}) == "refused: too_late"
    assert excuse(("ocr", "extract"), {"ocr": "too_late"}) == ""
    assert excuse((), {"ocr": "too_late"}) == ""
