"""The Prometheus counters of usage: an end is counted once, whichever one holds in the end."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from prometheus_client import REGISTRY

from schemas.events import Usage, UsageEvent
from schemas.prices import Price, PriceList
from schemas.usage_ledger import ABORTED, LedgerEntry, fold_usage
from schemas.usage_rows import Amounts, RowId, entry_rows
from streams.metering.counters import UsageCounters
from streams.metering.spent import Spent
from tests.unit.test_usage_ledger import usage

PRICES = PriceList("KRW", {("priced", ""): (Price(date(2020, 1, 1), prompt=Decimal(100_000), page=Decimal(3)),)})


def told(service: str, name: str) -> dict[str, float]:
    """What Prometheus has of a service, by the label that tells rows of one measure apart."""
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples if sample.name == name)
    return {
        sample.labels.get("outcome", sample.labels.get("kind", "")): sample.value
        for sample in samples
        if sample.labels.get("service") == service
    }


def count(*events: UsageEvent) -> None:
    """Count events of one request, each in a batch of its own."""
    counters, entry, before = UsageCounters(Spent(PRICES).cost), None, dict[RowId, Amounts]()
    for offset, event in enumerate(events):
        entry = fold_usage(entry, event, offset)
        before = _count(counters, entry, before)


def _count(counters: UsageCounters, entry: LedgerEntry, before: Mapping[RowId, Amounts]) -> dict[RowId, Amounts]:
    after = entry_rows(entry)
    counters.count(before, after)
    counters.tell()
    return after


def test_a_call_that_was_aborted_and_then_measured_is_one_request() -> None:
    end = usage(service="counted-a", module="chat", final=True)
    aborted = replace(end, outcome=ABORTED, upstream="", usage=Usage(bytes_in=1, estimated=True))
    count(aborted, end)
    assert told("counted-a", "gateway_usage_requests_total") == {ABORTED: 1}
    assert sum(told("counted-a", "gateway_usage_tokens_total").values()) == 10, "what it used is not lost"


def test_a_job_that_failed_and_was_replayed_is_one_request() -> None:
    count(usage(service="counted-b", outcome="failed", final=True), usage(service="counted-b", epoch=1, final=True))
    assert told("counted-b", "gateway_usage_requests_total") == {"failed": 1}


def test_a_request_is_counted_when_it_ends_and_not_before() -> None:
    count(usage(service="counted-c"))
    assert told("counted-c", "gateway_usage_requests_total") == {}
    count(usage(service="counted-d"), usage("extract", service="counted-d", final=True))
    assert told("counted-d", "gateway_usage_requests_total") == {"done": 1}


def test_what_has_a_price_costs_once_and_what_has_none_costs_nothing() -> None:
    """A call of 30 prompt tokens at 100,000 a million, told twice; and a page at 3."""
    call = replace(usage(service="counted-e", final=True), model="priced", usage=Usage(prompt_tokens=30))
    count(call, call)
    assert told("counted-e", "gateway_usage_cost_total") == {"": 3.0}
    pages = replace(usage(service="counted-f", final=True), model="priced", usage=Usage(pages=2))
    count(replace(pages, outcome=ABORTED, usage=Usage(pages=1)), pages)
    assert told("counted-f", "gateway_usage_cost_total") == {"": 6.0}
    count(replace(usage(service="counted-g", final=True), model="free"))
    assert told("counted-g", "gateway_usage_cost_total") == {}
