"""What the ledger refuses, and by which code."""

from dataclasses import replace

import pytest

from schemas.errors import InvalidInput
from schemas.events import Usage, UsageEvent
from schemas.usage_admission import FUTURE_MS, MOST, admitted_usage
from schemas.usage_ledger import HORIZON_MS
from tests.unit.test_usage_ledger import HOUR, usage

NOW = HOUR
GOOD = usage(measured_at_ms=NOW)


@pytest.mark.parametrize("at_ms", [NOW - HORIZON_MS, NOW - 1, NOW])
def test_an_event_within_the_horizon_is_taken_as_it_is(at_ms: int) -> None:
    event = replace(GOOD, measured_at_ms=at_ms)
    assert admitted_usage(event, NOW) == event


@pytest.mark.parametrize("ahead_ms", [1, 3_600_000, FUTURE_MS])
def test_a_clock_that_is_ahead_loses_no_usage(ahead_ms: int) -> None:
    """An hour ahead, as a wrong time zone puts it: what was used counts, in the hour in which it was logged."""
    assert admitted_usage(replace(GOOD, measured_at_ms=NOW + ahead_ms), NOW) == replace(GOOD, measured_at_ms=NOW)


BAD: list[tuple[str, UsageEvent]] = [
    ("from_the_future", replace(GOOD, measured_at_ms=NOW + FUTURE_MS + 1)),
    ("too_late", replace(GOOD, measured_at_ms=NOW - HORIZON_MS - 1)),
    ("too_late", replace(GOOD, measured_at_ms=NOW - 10 * 365 * 86_400_000)),
    ("too_late", replace(GOOD, measured_at_ms=-(2**62))),
    ("negative_amount", replace(GOOD, usage=Usage(pages=-1))),
    ("negative_amount", replace(GOOD, usage=Usage(audio_seconds=-0.5))),
    ("negative_amount", replace(GOOD, epoch=-1)),
    ("absurd_amount", replace(GOOD, usage=Usage(prompt_tokens=MOST + 1))),
    ("absurd_amount", replace(GOOD, usage=Usage(work_seconds=float("nan")))),
    ("absurd_amount", replace(GOOD, usage=Usage(work_seconds=float("inf")))),
    ("invalid_name", replace(GOOD, service="Mail Room")),
    ("invalid_name", replace(GOOD, service="mail-room\n")),
    ("invalid_name", replace(GOOD, model="a\x1fb")),
    ("invalid_name", replace(GOOD, upstream="x" * 201)),
]


@pytest.mark.parametrize(("code", "event"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_an_event_that_cannot_be_counted_is_refused(code: str, event: UsageEvent) -> None:
    with pytest.raises(InvalidInput) as raised:
        admitted_usage(event, NOW)
    assert raised.value.code == code
