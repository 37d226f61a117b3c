"""The benchmark's synthetic events: seeded, takeable by the ledger, and of a month."""

from itertools import groupby

from bench.usage_events import DAYS, SERVICES, usage_events
from schemas.usage_admission import admitted_usage
from schemas.usage_ledger import DAY_MS, HOUR_MS, charged, ending, fold_usage

NOW = 1_800_000_000_000


def test_the_events_are_the_seeds() -> None:
    first = list(usage_events(500, 3, NOW))
    assert first == list(usage_events(500, 3, NOW))
    assert first != list(usage_events(500, 4, NOW))
    assert len(first) == 500


def test_the_ledger_takes_every_event_and_each_request_ends_once() -> None:
    events = list(usage_events(2_000, 3, NOW))
    for event in events:
        assert admitted_usage(event, NOW) == event
    assert {event.service for event in events} == set(SERVICES)
    assert max(e.measured_at_ms for e in events) - min(e.measured_at_ms for e in events) > (DAYS - 1) * DAY_MS
    assert min(e.measured_at_ms for e in events) >= NOW - DAYS * DAY_MS - HOUR_MS
    # The last request may be cut off by the number that was asked for.
    requests = [(request, list(each)) for request, each in groupby(events, key=lambda event: event.request_id)]
    for request, each in requests[:-1]:
        entry = None
        for offset, event in enumerate(each):
            entry = fold_usage(entry, event, offset)
        assert entry is not None
        assert ending(charged(entry)) is not None, request
