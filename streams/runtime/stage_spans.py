"""The span of one attempt at one request, from its start until what follows from it is on the log."""

from streams.record_spans import process_span
from streams.runtime.assignment import Work
from streams.runtime.processor import Result
from streams.runtime.retry import Decision, Retry
from streams.spans import NO_SPAN, Span, recording


def stage_span(work: Work, group: str) -> Span:
    """Begin the span of an attempt, under the publication of its request."""
    if not recording():
        return NO_SPAN
    record, request = work.record, work.request
    about = {
        "gateway.stage": request.step.kind,
        "gateway.lane": work.lane,
        "gateway.attempt": work.attempt,
        "gateway.job_id": request.job.job_id,
        "gateway.service": request.job.service,
    }
    return process_span(record, group, about)


def tell_verdict(begun: Span, verdict: Result | Decision) -> None:
    """Tell the span how the attempt went; a retry and a dead letter count as failed, an outage too."""
    if begun is NO_SPAN:
        return
    begun.set({"gateway.outcome": "done" if isinstance(verdict, Result) else type(verdict).__name__})
    if not isinstance(verdict, Result):
        begun.fail("retry" if isinstance(verdict, Retry) else verdict.error.code)
