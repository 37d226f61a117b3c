"""Which usage events the ledger takes: a function of the event and of the time at which it was logged."""

import math
import re
import unicodedata
from dataclasses import replace

from schemas.errors import InvalidInput
from schemas.events import UsageEvent
from schemas.usage_ledger import DAY_MS, HORIZON_MS, HOUR_MS

FUTURE_MS = 2 * HOUR_MS
"""By how much the clock of who measured may be ahead of the log's: the hour of a wrong time zone, and some."""

MOST = 10**12
"""The largest amount that one event may carry; sums of such stay within 64 bits."""

_SERVICE = re.compile(r"[a-z0-9-]{1,40}")
_LONGEST_NAME = 200


def admitted_usage(event: UsageEvent, logged_at_ms: int) -> UsageEvent:
    """Return the event as the ledger counts it: nothing was measured after it was logged, whatever a clock says.

    Raises InvalidInput whose code tells why it cannot be counted: `negative_amount`, `absurd_amount`,
    `invalid_name`, `from_the_future`, `too_late`.
    """
    _check_amounts(event)
    _check_names(event)
    ahead = event.measured_at_ms - logged_at_ms
    if ahead > FUTURE_MS:
        raise InvalidInput(
            f"it was measured {ahead / 1000:.0f} s after it was logged",
            code="from_the_future",
            remedy="set the clock of the process that measured it, then replay the dead letter",
        )
    if -ahead > HORIZON_MS:
        raise InvalidInput(
            f"it was measured {-ahead / DAY_MS:.1f} days before it was logged; the ledger takes {HORIZON_MS // DAY_MS}",
            code="too_late",
            remedy="book it by hand: the month's statement may be out already",
        )
    return replace(event, measured_at_ms=logged_at_ms) if ahead > 0 else event


def _check_amounts(event: UsageEvent) -> None:
    used = event.usage
    whole = (used.pages, used.prompt_tokens, used.completion_tokens, used.bytes_in, event.attempt, event.epoch)
    most_s = MOST / 1000
    # Nearly all are in order. NaN is not within these borders either, so the checks below name it.
    if (
        min(whole) >= 0
        and max(whole) <= MOST
        and 0 <= used.audio_seconds <= most_s
        and 0 <= used.work_seconds <= most_s
    ):
        return
    amounts = {
        "pages": used.pages,
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "audio_seconds": used.audio_seconds,
        "work_seconds": used.work_seconds,
        "bytes_in": used.bytes_in,
        "attempt": event.attempt,
        "epoch": event.epoch,
    }
    for name, amount in amounts.items():
        if amount < 0:
            raise InvalidInput(f"{name} is {amount}", code="negative_amount", remedy="amounts are 0 or more")
        # Comparisons with NaN are false: it has to be looked for.
        if math.isnan(amount) or amount > (MOST if isinstance(amount, int) else MOST / 1000):
            raise InvalidInput(f"{name} is {amount}", code="absurd_amount", remedy="look at who measured it")


def _check_names(event: UsageEvent) -> None:
    if _SERVICE.fullmatch(event.service) is None:
        raise InvalidInput(f"{event.service[:80]!r} is no service name", code="invalid_name")
    names = {
        "key_id": event.key_id,
        "module": event.module,
        "step": event.step,
        "model": event.model,
        "upstream": event.upstream,
        "lane": event.lane,
        "outcome": event.outcome,
        "digest": event.digest,
    }
    for name, text in names.items():
        if len(text) > _LONGEST_NAME or not (text.isprintable() or _harmless(text)):
            raise InvalidInput(f"{name} is {text[:80]!r}: too long, or not printable", code="invalid_name")


def _harmless(text: str) -> bool:
    # An ideographic space, for one, is not printable to Python and quite usual in a name.
    return not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
