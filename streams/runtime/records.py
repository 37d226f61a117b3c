"""The records that follow an attempt, built purely; every id is a function of job, epoch, step and attempt."""

from dataclasses import replace

from schemas.errors import GatewayError
from schemas.events import (
    ErrorInfo,
    JobEvent,
    JobEventKind,
    JobResult,
    JobStatus,
    Progress,
    StageOutcome,
    StageRequest,
    Usage,
    UsageEvent,
)
from schemas.ids import event_id, short_digest, usage_id
from schemas.payloads import Payload
from schemas.pipelines import add_usage
from streams.runtime.processor import Result


def stage_outcome(
    request: StageRequest, attempt: int, result: Result, outputs: tuple[Payload, ...], started_ms: int, now_ms: int
) -> StageOutcome:
    """Return what one attempt gave; where the handler measured no work time or input, the runtime's figures hold."""
    job, used = request.job, result.usage
    usage = replace(
        used,
        work_seconds=used.work_seconds or (now_ms - started_ms) / 1000,
        bytes_in=used.bytes_in or sum(payload.size for payload in request.inputs),
    )
    return StageOutcome(
        event_id=event_id(job.job_id, job.epoch, "outcome", request.step.name),
        job=job,
        steps=request.steps,
        position=request.position,
        attempt=attempt,
        outputs=outputs,
        options=request.options,
        artifacts=dict(result.artifacts),
        usage=usage,
        model=result.model,
        upstream=result.upstream,
        started_at_ms=started_ms,
        finished_at_ms=now_ms,
    )


def failed_result(
    request: StageRequest, attempt: int, error: GatewayError, usage: Usage, started_ms: int, now_ms: int
) -> JobResult:
    """Return the terminal record of a job whose step was given up."""
    job = request.job
    return JobResult(
        event_id=event_id(job.job_id, job.epoch, "result"),
        job=job,
        status=JobStatus.FAILED,
        steps=request.steps,
        error=error_info(request, error),
        usage=add_usage(request.usage, usage),
        step=request.step.name,
        attempt=attempt,
        step_usage=usage,
        started_at_ms=started_ms,
        finished_at_ms=now_ms,
    )


_REMEDY = "submit it again, or have the operator replay it: ./gateway dlt replay with the job's id"


def error_info(request: StageRequest, error: GatewayError) -> ErrorInfo:
    """Return an error as callers see it."""
    return ErrorInfo(error.code, error.message, request.step.name, error.remedy or _REMEDY)


def started_event(request: StageRequest, attempt: int, started_ms: int) -> JobEvent:
    """Tell that a step is in work."""
    return _event(request, JobEventKind.STAGE_STARTED, attempt, started_ms, started_ms, request.step.name, attempt)


def progress_event(request: StageRequest, progress: Progress, started_ms: int, now_ms: int) -> JobEvent:
    """Tell how far a step is."""
    parts = (request.step.name, progress.attempt, progress.done)
    event = _event(request, JobEventKind.PROGRESS, progress.attempt, started_ms, now_ms, *parts)
    return replace(event, progress=progress)


def done_event(request: StageRequest, outcome: StageOutcome) -> JobEvent:
    """Tell that a step is done; for the last step, that the job is."""
    last = request.position + 1 >= len(request.steps)
    job = request.job
    kind = JobEventKind.DONE if last else JobEventKind.STAGE_DONE
    parts = () if last else (request.step.name,)
    # Built at once rather than through `_event`: this one is written for every message.
    return JobEvent(
        event_id=event_id(job.job_id, job.epoch, kind, *parts),
        job=job,
        kind=kind,
        steps=request.steps,
        at_ms=outcome.finished_at_ms,
        step=request.step.name,
        attempt=outcome.attempt,
        started_at_ms=outcome.started_at_ms,
        usage=outcome.usage,
        artifacts=outcome.artifacts,
    )


def failed_event(
    request: StageRequest, attempt: int, error: GatewayError, usage: Usage, started_ms: int, now_ms: int
) -> JobEvent:
    """Tell that a job failed."""
    event = _event(request, JobEventKind.FAILED, attempt, started_ms, now_ms)
    return replace(event, error=error_info(request, error), usage=usage)


def usage_event(
    request: StageRequest,
    attempt: int,
    outcome: str,
    usage: Usage,
    now_ms: int,
    *,
    model: str = "",
    upstream: str = "",
    final: bool = False,
    started_ms: int = 0,
) -> UsageEvent:
    """Tell what one attempt used; `outcome` is `done`, `failed` or `cancelled`. `final`: its job has ended."""
    job, step = request.job, request.step.name
    return UsageEvent(
        event_id=usage_id(job.job_id, job.epoch, step, attempt),
        request_id=job.job_id,
        service=job.service,
        key_id=job.key_id,
        module=job.module,
        step=step,
        attempt=attempt,
        model=model,
        upstream=upstream,
        lane=job.lane,
        outcome=outcome,
        usage=usage,
        measured_at_ms=now_ms,
        epoch=job.epoch,
        final=final,
        digest=short_digest(job.input_digest),
        created_at_ms=job.created_at_ms,
        started_at_ms=started_ms,
    )


def waste_of(event: UsageEvent) -> UsageEvent:
    """Return a usage event as one that is not charged.

    Its id has the attempt's begin in it: a number may be used again, by an attempt that then is charged under it.
    """
    return replace(event, event_id=_waste_id(event), waste=True, final=False)


def wasted_events(event: UsageEvent, result: Result) -> list[UsageEvent]:
    """Tell what an attempt wasted beside what `event` says of it, under ids of their own."""
    return [
        replace(
            event,
            event_id=event_id(_waste_id(event), number),
            model=wasted.model,
            upstream=wasted.upstream,
            outcome="failed",
            usage=wasted.usage,
            waste=True,
            final=False,
        )
        for number, wasted in enumerate(result.wasted, 1)
    ]


def _waste_id(event: UsageEvent) -> str:
    attempt = usage_id(event.request_id, event.epoch, event.step, event.attempt)
    return event_id(attempt, "wasted", event.started_at_ms)


def _event(
    request: StageRequest, kind: JobEventKind, attempt: int, started_ms: int, at_ms: int, *parts: object
) -> JobEvent:
    job = request.job
    return JobEvent(
        event_id=event_id(job.job_id, job.epoch, kind, *parts),
        job=job,
        kind=kind,
        steps=request.steps,
        at_ms=at_ms,
        step=request.step.name,
        attempt=attempt,
        started_at_ms=started_ms,
    )
