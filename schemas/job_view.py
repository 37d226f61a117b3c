"""The job as callers see it: `GET /v1/jobs/{id}`, built purely from the folded state."""

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from schemas.events import JobRef, JobStatus, Step, Usage
from schemas.job_state import JobState, StageState, Submission, Terminal
from schemas.payloads import BlobRef, Payload
from schemas.pipelines import add_usage

_USED = tuple(field.name for field in fields(Usage))
_used_of = attrgetter(*_USED)


@dataclass(frozen=True, slots=True)
class JobView:
    """What is materialized for one job: the document, and what is needed to complete or serve it.

    `document` is the REST body but for `result` and `links`; `result` is filled in from the payload.
    `job` and `steps` are what a further record about the job (its cancellation) must say of it.
    """

    job: JobRef
    steps: tuple[Step, ...]
    document: dict[str, Any]
    service: str
    digest: str
    result: Payload | None
    inputs: tuple[Payload, ...]
    artifacts: dict[str, BlobRef]


def job_view(job_id: str, state: JobState) -> JobView:
    """Return the view of a job's state."""
    submission = state.current
    if state.purged_at_ms:
        return _purged_view(job_id, submission)
    job, terminal = submission.job, _terminal(submission)
    known = {s.name: s for s in submission.stages}
    artifacts: dict[str, BlobRef] = {}
    for stage in submission.stages:
        if stage.done is not None:
            artifacts.update(stage.done.artifacts)
    error = terminal.error if terminal else None
    document: dict[str, Any] = {
        "job_id": job_id,
        "module": job.module,
        "module_version": job.module_version,
        "service": job.service,
        "lane": job.lane,
        "status": job_status(submission),
        "stages": [_stage_document(step, known.get(step.name), terminal) for step in submission.steps],
        "result": None,
        "error": asdict(error) if error else None,
        "usage": _usage_document(terminal.usage if terminal else _usage_so_far(submission)),
        "created_at": iso_time(job.created_at_ms),
        "updated_at": iso_time(submission.updated_at_ms),
        "finished_at": iso_time(terminal.finished_at_ms) if terminal else None,
    }
    if state.conflicting:
        document["conflict"] = "another input used the same Idempotency-Key; its result was left out"
    return JobView(
        job=job,
        steps=submission.steps,
        document=document,
        service=job.service,
        digest=job.input_digest,
        result=terminal.result if terminal else None,
        inputs=submission.inputs,
        artifacts=artifacts,
    )


def _purged_view(job_id: str, submission: Submission) -> JobView:
    job = submission.job
    document: dict[str, Any] = {
        "job_id": job_id,
        "module": job.module,
        "service": job.service,
        "status": JobStatus.PURGED,
        "created_at": iso_time(job.created_at_ms),
        "updated_at": iso_time(submission.updated_at_ms),
    }
    return JobView(job, (), document, job.service, "", None, (), {})


def job_status(submission: Submission) -> str:
    """Return where a job stands."""
    terminal = _terminal(submission)
    if terminal is not None:
        return terminal.status
    return JobStatus.RUNNING if submission.stages else JobStatus.QUEUED


def iso_time(ms: int) -> str | None:
    """Format milliseconds since 1970 as ISO 8601 in UTC; None for 0, which means unknown."""
    if not ms:
        return None
    seconds, rest = divmod(ms, 1000)
    return f"{_iso_second(seconds)}.{rest:03}Z"


@lru_cache(maxsize=4_096)  # the times of a job, and those of its neighbours, are of few seconds
def _iso_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _terminal(submission: Submission) -> Terminal | None:
    # A stage that works in a higher epoch (a dead letter replayed) reopens the job.
    terminal = submission.terminal
    if terminal is None or any(s.epoch > terminal.epoch for s in submission.stages):
        return None
    return terminal


def _usage_so_far(submission: Submission) -> Usage:
    total = Usage()
    for stage in submission.stages:
        if stage.done is not None:
            total = add_usage(total, stage.done.usage)
    return total


def _usage_document(usage: Usage) -> dict[str, Any]:
    # `asdict` copies value by value, in several times the time, and this is done for each view.
    return dict(zip(_USED, _used_of(usage), strict=True))


def _stage_document(step: Step, stage: StageState | None, terminal: Terminal | None) -> dict[str, Any]:
    done = stage.done if stage else None
    progress = stage.progress if stage else None
    return {
        "name": step.name,
        "status": _stage_status(step, stage, terminal),
        "attempts": stage.attempts if stage else 0,
        "started_at": iso_time(stage.started_at_ms) if stage else None,
        "finished_at": iso_time(done.finished_at_ms) if done else None,
        "progress": {"done": progress.done, "total": progress.total, "unit": progress.unit} if progress else None,
    }


def _stage_status(step: Step, stage: StageState | None, terminal: Terminal | None) -> str:
    if (stage and stage.done) or (terminal and terminal.status == JobStatus.DONE):
        return JobStatus.DONE
    if terminal is not None:
        failed_here = terminal.error is not None and terminal.error.stage == step.name
        if terminal.status == JobStatus.FAILED and failed_here:
            return JobStatus.FAILED
        return JobStatus.CANCELLED
    return JobStatus.RUNNING if stage else JobStatus.QUEUED
