"""What attempts used that gave no result, and the usage events that tell of it. Pure."""

from dataclasses import replace

from schemas.events import Usage, UsageEvent
from streams.runtime.assignment import Work
from streams.runtime.processor import Result
from streams.runtime.records import usage_event, waste_of, wasted_events


def used_by(work: Work, now_ms: int) -> Result:
    """Return what an attempt used: what its handler told, and the time."""
    spent = work.spent or Result(())
    if spent.usage.work_seconds or not work.started_ms:
        return spent
    return replace(spent, usage=replace(spent.usage, work_seconds=(now_ms - work.started_ms) / 1000))


def failed_events(work: Work, now_ms: int) -> list[UsageEvent]:
    """Tell what a failed attempt used, as not charged; what it kept is charged with the attempt that ends it all."""
    spent = used_by(work, now_ms)
    event = _event(work, "failed", replace(spent, usage=_less(spent.usage, spent.kept)), now_ms)
    return [waste_of(event), *wasted_events(event, spent)]


def uncounted_events(work: Work, now_ms: int) -> list[UsageEvent]:
    """Tell what an attempt used that an outage or a handover ended, as not charged; nothing where it was time alone.

    Such an attempt does not count, and there may be one every few seconds for as long as an outage lasts.
    """
    told = work.spent
    if told is None or not (told.wasted or _amounts(told.usage) != _amounts(told.kept)):
        return []
    return failed_events(work, now_ms)


def cancelled_events(work: Work, now_ms: int) -> list[UsageEvent]:
    """Tell what an attempt used that was cancelled in its middle."""
    spent = used_by(work, now_ms)
    event = replace(_event(work, "cancelled", spent, now_ms), final=True)
    return [event, *wasted_events(event, spent)]


def withdrawn_event(work: Work, now_ms: int) -> UsageEvent:
    """Tell that a request was cancelled before its turn came: it used what an earlier attempt here kept, if any did."""
    attempt = work.held.attempts(work.offset) + 1
    earlier = work.spent or Result(())
    return usage_event(
        work.request,
        attempt,
        "cancelled",
        earlier.kept,
        now_ms,
        model=earlier.model,
        upstream=earlier.upstream,
        final=True,
    )


def _event(work: Work, outcome: str, spent: Result, now_ms: int) -> UsageEvent:
    return usage_event(
        work.request,
        work.attempt,
        outcome,
        spent.usage,
        now_ms,
        model=spent.model,
        upstream=spent.upstream,
        started_ms=work.started_ms,
    )


def _amounts(usage: Usage) -> tuple[int, int, int, float]:
    return usage.pages, usage.prompt_tokens, usage.completion_tokens, usage.audio_seconds


def _less(usage: Usage, kept: Usage) -> Usage:
    return Usage(
        pages=usage.pages - kept.pages,
        prompt_tokens=usage.prompt_tokens - kept.prompt_tokens,
        completion_tokens=usage.completion_tokens - kept.completion_tokens,
        audio_seconds=usage.audio_seconds - kept.audio_seconds,
        work_seconds=max(0.0, usage.work_seconds - kept.work_seconds),
        bytes_in=usage.bytes_in - kept.bytes_in,
        estimated=usage.estimated,
    )
