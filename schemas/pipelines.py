"""A pipeline is data: the routing slip in a request says what comes next. Pure functions over it."""

from dataclasses import replace

from schemas.events import JobResult, StageOutcome, StageRequest, Usage
from schemas.ids import event_id
from schemas.payloads import Payload


def add_usage(a: Usage, b: Usage) -> Usage:
    """Return the sum of two usages; estimated when either part is."""
    return Usage(
        pages=a.pages + b.pages,
        prompt_tokens=a.prompt_tokens + b.prompt_tokens,
        completion_tokens=a.completion_tokens + b.completion_tokens,
        audio_seconds=a.audio_seconds + b.audio_seconds,
        work_seconds=a.work_seconds + b.work_seconds,
        bytes_in=a.bytes_in + b.bytes_in,
        estimated=a.estimated or b.estimated,
    )


def request_event_id(job_id: str, epoch: int, step: str) -> str:
    """Return the id of the request for one step of a job."""
    return event_id(job_id, epoch, "request", step)


def next_request(request: StageRequest, outcome: StageOutcome, now_ms: int) -> StageRequest | None:
    """Return the request for the step after `request`, or None when the slip is finished."""
    position = request.position + 1
    if position >= len(request.steps):
        return None
    return replace(
        request,
        event_id=request_event_id(request.job.job_id, request.job.epoch, request.steps[position].name),
        position=position,
        inputs=outcome.outputs,
        usage=add_usage(request.usage, outcome.usage),
        requested_at_ms=now_ms,
    )


def final_result(request: StageRequest, outcome: StageOutcome, result: Payload | None) -> JobResult:
    """Return the terminal record of a job whose last step gave `outcome`."""
    job = request.job
    return JobResult(
        event_id=event_id(job.job_id, job.epoch, "result"),
        job=job,
        status="done",
        steps=request.steps,
        result=result,
        usage=add_usage(request.usage, outcome.usage),
        step=request.step.name,
        attempt=outcome.attempt,
        step_usage=outcome.usage,
        artifacts=outcome.artifacts,
        started_at_ms=outcome.started_at_ms,
        finished_at_ms=outcome.finished_at_ms,
    )
