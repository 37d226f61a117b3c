"""The metrics library made cheaper tells what the library tells."""

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from schemas.events import Lane
from streams import metric_kinds, metrics

BOUNDS = (0.001, 0.5, 1, 60)


def scraped(kinds: object, amounts: list[float]) -> list[bytes]:
    """What a scrape says after these amounts, each counted in every way."""
    registry = CollectorRegistry()
    counter = kinds.Counter("served_total", "Served", ["lane", "status"], registry=registry)  # type: ignore[attr-defined]
    plain = kinds.Counter("read_total", "Read", registry=registry)  # type: ignore[attr-defined]
    gauge = kinds.Gauge("held", "Held", ["lane"], registry=registry)  # type: ignore[attr-defined]
    waits = kinds.Histogram("wait_seconds", "Wait", ["lane"], registry=registry, buckets=BOUNDS)  # type: ignore[attr-defined]
    for number, amount in enumerate(amounts):
        counter.labels(Lane.BULK, str(number % 3)).inc(amount)
        plain.inc()
        gauge.labels("bulk").inc()
        gauge.labels("replay").set(amount)
        waits.labels(Lane.INTERACTIVE).observe(amount)
    return generate_latest(registry).splitlines()


@given(st.lists(st.sampled_from((0.0, *BOUNDS)) | st.floats(0, 1e6)))
def test_a_scrape_says_what_the_library_would_say(amounts: list[float]) -> None:
    assert scraped(metric_kinds, amounts) == scraped(prometheus_client, amounts)


def test_a_child_is_one_however_it_is_asked_for() -> None:
    counter = metric_kinds.Counter("a_total", "A", ["lane", "status"], registry=CollectorRegistry())
    child = counter.labels("bulk", 200)
    assert child is counter.labels("bulk", "200") is counter.labels(status=200, lane="bulk")
    counter.remove("bulk", "200")
    assert counter.labels("bulk", "200") is not child


def test_forgotten_labels_are_an_error() -> None:
    registry = CollectorRegistry()
    counter = metric_kinds.Counter("a_total", "A", ["lane"], registry=registry)
    for count in (counter.inc, lambda: counter.labels("bulk", "more"), lambda: counter.labels(colour="red")):
        with pytest.raises((ValueError, AttributeError)):
            count()
    with pytest.raises(AttributeError):
        metric_kinds.Histogram("b", "B", ["lane"], registry=registry).observe(1)


def test_what_goes_down_is_no_counter() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        metric_kinds.Counter("a_total", "A", registry=CollectorRegistry()).inc(-1)


def test_nothing_is_told_of_when_a_series_began() -> None:
    metrics.PUBLISHED.labels("results").inc()
    assert b'gateway_published_total{topic="results"}' in generate_latest()
    assert b"_created" not in generate_latest()
