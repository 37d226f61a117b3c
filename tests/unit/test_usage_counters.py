"""The Prometheus counters of usage: an end is counted once, whichever one holds in the end."""

from collections.abc import Mapping
from dataclasses import replace

from prometheus_client import REGISTRY

from schemas.events import Usage, UsageEvent
from schemas.usage_ledger import ABORTED, LedgerEntry, fold_usage
from schemas.usage_rows import Amounts, RowId, entry_rows
from streams.metering.counters import UsageCounters
from tests.unit.test_usage_ledger import usage


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
    counters, entry, before = UsageCounters(), None, dict[RowId, Amounts]()
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
