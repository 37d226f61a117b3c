"""What is written to cancel a job, whoever cancels it. Pure."""

from collections.abc import Sequence

from schemas.events import JobControl, JobEvent, JobEventKind, JobRef, JobResult, JobStatus, Step
from schemas.ids import event_id
from schemas.topics import JOB_CONTROL, JOB_EVENTS, RESULTS
from streams.log.protocols import Headers, Outgoing

CANCEL = "cancel"


def cancelled(job: JobRef, steps: Sequence[Step], now_ms: int, headers: Headers) -> tuple[Outgoing, Outgoing, Outgoing]:
    """Return what cancels a job that has not ended, in the order in which it has to be written.

    1. `results` decides: what stands there first for this epoch is the job's end. 2. `job.control` stops the work,
    which by then is for nothing. 3. the event informs.
    """
    result = JobResult(
        event_id=event_id(job.job_id, job.epoch, "result", JobStatus.CANCELLED),
        job=job,
        status=JobStatus.CANCELLED,
        steps=tuple(steps),
        finished_at_ms=now_ms,
    )
    event = JobEvent(
        event_id=event_id(job.job_id, job.epoch, JobEventKind.CANCELLED),
        job=job,
        kind=JobEventKind.CANCELLED,
        steps=tuple(steps),
        at_ms=now_ms,
    )
    return (
        Outgoing(RESULTS, job.job_id, result, headers),
        stopped(job, now_ms, headers),
        Outgoing(JOB_EVENTS, job.job_id, event, headers),
    )


def stopped(job: JobRef, now_ms: int, headers: Headers) -> Outgoing:
    """Return what has the processors stop work on a job; again changes nothing."""
    control = JobControl(event_id(job.job_id, job.epoch, CANCEL), job.job_id, job.service, CANCEL, now_ms, job.epoch)
    return Outgoing(JOB_CONTROL, job.job_id, control, headers)
