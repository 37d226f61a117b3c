"""Ends a job whose request no processor will ever work on: what it waits for, and the records of its end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from schemas.errors import GatewayError
from schemas.events import ErrorInfo, JobEvent, JobEventKind, JobResult, JobStatus, Step, Usage, UsageEvent
from schemas.ids import event_id, short_digest, usage_id
from schemas.job_state import JobState, Submission
from schemas.job_view import job_status
from schemas.topics import JOB_EVENTS, RESULTS, USAGE_EVENTS, StageTopics, Topic
from streams.log.protocols import Outgoing, Publisher


async def keep_looking(
    look: Callable[[], Awaitable[object]], every_s: float, tell: Callable[[GatewayError], object]
) -> None:
    """Look now and then, until cancelled, through outages of the log, each of which `tell` is told."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await look()
        except GatewayError as e:
            tell(e)


class Wait(NamedTuple):
    """A job that waits for a step: its request should stand on `topic`, written at about `since_ms`."""

    submission: Submission
    step: Step
    topic: Topic
    since_ms: int


def waiting(state: JobState, stages: Mapping[str, StageTopics]) -> Wait | None:
    """Return what a job waits for; None when it has ended, or its stage is none of those known here."""
    submission = state.current
    if state.purged_at_ms or job_status(submission) not in (JobStatus.QUEUED, JobStatus.RUNNING):
        return None
    done = {stage.name for stage in submission.stages if stage.done is not None}
    step = next((step for step in submission.steps if step.name not in done), None)
    stage = stages.get(step.kind) if step is not None else None
    topic = stage.requests.get(submission.job.lane) if stage is not None else None
    if step is None or topic is None:
        return None
    return Wait(submission, step, topic, submission.updated_at_ms)


async def end_unworked(publisher: Publisher, wait: Wait, error: ErrorInfo, now_ms: int) -> None:
    """Write the end of a job, which used nothing in the step it waited for. Raises Outage.

    The result is last, for with it the job waits no longer: what a crash leaves out before is written again.
    """
    job, step = wait.submission.job, wait.step
    used = UsageEvent(
        event_id=usage_id(job.job_id, job.epoch, step.name, 0),
        request_id=job.job_id,
        service=job.service,
        key_id=job.key_id,
        module=job.module,
        step=step.name,
        attempt=0,
        model="",
        upstream="",
        lane=job.lane,
        outcome=JobStatus.FAILED,
        usage=Usage(),
        measured_at_ms=now_ms,
        epoch=job.epoch,
        final=True,
        digest=short_digest(job.input_digest),
        created_at_ms=job.created_at_ms,
    )
    event = JobEvent(
        event_id=event_id(job.job_id, job.epoch, JobEventKind.FAILED, error.code),
        job=job,
        kind=JobEventKind.FAILED,
        steps=wait.submission.steps,
        at_ms=now_ms,
        step=step.name,
        error=error,
    )
    result = JobResult(
        event_id=event_id(job.job_id, job.epoch, "result", error.code),
        job=job,
        status=JobStatus.FAILED,
        steps=wait.submission.steps,
        error=error,
        finished_at_ms=now_ms,
    )
    await publisher.publish_many([Outgoing(USAGE_EVENTS, job.job_id, used, {})])
    await publisher.publish_many(
        [Outgoing(JOB_EVENTS, job.job_id, event, {}), Outgoing(RESULTS, job.job_id, result, {})]
    )
