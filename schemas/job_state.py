"""The state of a job as a fold over its records.

The fold is a join: it does not mind repeats, nor the order in which records of one topic or of
different topics arrive. Where a choice is needed, it is made by values that belong to the record
(epoch, offset, attempt, time), never by what came first to this process.

Records whose input digest differs belong to different submissions under one idempotency key. They
are kept apart; the job is the one whose `accepted` has the lowest offset (see `current`).

A job that was purged stays purged, whatever else is read about it, before or after: its state is made of the
purges' own records alone.
"""

from dataclasses import field, replace

from schemas.events import (
    ErrorInfo,
    JobEvent,
    JobEventKind,
    JobRef,
    JobResult,
    Progress,
    Step,
    Usage,
)
from schemas.payloads import BlobRef, Payload
from schemas.values import value


@value
class StageDone:
    """The attempt that counts as the one that finished a stage."""

    finished_at_ms: int
    attempt: int
    usage: Usage
    artifacts: dict[str, BlobRef] = field(default_factory=dict[str, BlobRef])


@value
class StageState:
    """One stage of a job, in the highest epoch seen. Zero means unknown for times and attempts."""

    name: str
    epoch: int = 0
    attempts: int = 0
    started_at_ms: int = 0
    progress: Progress | None = None
    done: StageDone | None = None


@value
class Terminal:
    """The end of a job: the record with the highest epoch, then the lowest offset, holds."""

    epoch: int
    offset: int
    status: str
    finished_at_ms: int
    usage: Usage
    result: Payload | None = None
    error: ErrorInfo | None = None


@value
class Submission:
    """All that is known of one submission (job id and input digest). `accepted_offset` -1: not seen."""

    job: JobRef
    steps: tuple[Step, ...]
    updated_at_ms: int
    accepted_offset: int = -1
    inputs: tuple[Payload, ...] = ()
    stages: tuple[StageState, ...] = ()
    terminal: Terminal | None = None


@value
class JobState:
    """The submissions under one job id, ordered by digest; nearly always one.

    `purged_at_ms` tells when the job was purged, 0 when it was not; its one submission is then without content.
    """

    submissions: tuple[Submission, ...]
    purged_at_ms: int = 0

    @property
    def current(self) -> Submission:
        """The submission that is the job: first accepted, else first created."""
        return min(self.submissions, key=_precedence)

    @property
    def conflicting(self) -> bool:
        """Whether another submission used the same id with other content and was ignored."""
        return len(self.submissions) > 1


def fold(state: JobState | None, record: JobEvent | JobResult, offset: int) -> JobState:
    """Return the state after `record`, which stands at `offset` of its topic's partition.

    Returns `state` itself when the record adds nothing, so that a caller can skip the write.
    """
    if isinstance(record, JobEvent) and record.kind == JobEventKind.PURGED:
        return _purged(state, record)
    if state is not None and state.purged_at_ms:
        return state
    submissions = state.submissions if state is not None else ()
    digest = record.job.input_digest
    before = next((s for s in submissions if s.job.input_digest == digest), None)
    after = _fold_submission(before or _blank(record), record, offset)
    if state is not None and after == before:
        return state
    others = tuple(s for s in submissions if s.job.input_digest != digest)
    return JobState(tuple(sorted((*others, after), key=lambda s: s.job.input_digest)))


def _purged(state: JobState | None, event: JobEvent) -> JobState:
    """Return what is left of a job; of several purges the first counts."""
    job = replace(event.job, epoch=0, input_digest="")
    left = JobState((Submission(job=job, steps=(), updated_at_ms=event.at_ms),), purged_at_ms=event.at_ms)
    if state is not None and state.purged_at_ms:
        return min(state, left, key=lambda s: (s.purged_at_ms, repr(s)))
    return left


def _precedence(submission: Submission) -> tuple[bool, int, int, str]:
    job = submission.job
    return (
        submission.accepted_offset < 0,
        submission.accepted_offset,
        job.created_at_ms,
        job.input_digest,
    )


def _blank(record: JobEvent | JobResult) -> Submission:
    job = replace(record.job, epoch=0) if record.job.epoch else record.job
    return Submission(job=job, steps=record.steps, updated_at_ms=0)


def _fold_submission(before: Submission, record: JobEvent | JobResult, offset: int) -> Submission:
    match record:
        case JobEvent():
            after = _fold_event(before, record, offset)
            at_ms = record.at_ms
        case JobResult():
            after = _fold_result(before, record, offset)
            at_ms = record.finished_at_ms
    # Made anew rather than by `replace`, which looks at each field: this is done for every record.
    return Submission(
        job=_first_made(before.job, record.job),
        steps=min(before.steps, record.steps, key=repr) if before.steps != record.steps else before.steps,
        updated_at_ms=max(before.updated_at_ms, at_ms),
        accepted_offset=after.accepted_offset,
        inputs=after.inputs,
        stages=after.stages,
        terminal=after.terminal,
    )


def _first_made(a: JobRef, b: JobRef) -> JobRef:
    """Choose between the headers of repeated submissions: the one made first, at the highest epoch."""
    if a is b or a == b:
        return a
    epoch = max(a.epoch, b.epoch)
    a, b = replace(a, epoch=0), replace(b, epoch=0)
    return replace(min(a, b, key=lambda job: (job.created_at_ms, repr(job))), epoch=epoch)


def _fold_event(before: Submission, event: JobEvent, offset: int) -> Submission:
    match event.kind:
        case JobEventKind.ACCEPTED:
            if 0 <= before.accepted_offset <= offset:
                return before
            return replace(before, accepted_offset=offset, inputs=event.inputs)
        case JobEventKind.STAGE_STARTED | JobEventKind.PROGRESS | JobEventKind.STAGE_DONE:
            return _with_stage(before, _stage_of_event(event))
        case _:
            return before  # Terminal events only inform; kinds of newer writers are not for this fold.


def _stage_of_event(event: JobEvent) -> StageState:
    done = None
    if event.kind == JobEventKind.STAGE_DONE:
        done = StageDone(event.at_ms, event.attempt, event.usage or Usage(), event.artifacts)
    return StageState(
        name=event.step,
        epoch=event.job.epoch,
        attempts=event.attempt,
        started_at_ms=event.started_at_ms,
        progress=event.progress,
        done=done,
    )


def _fold_result(before: Submission, result: JobResult, offset: int) -> Submission:
    after = before
    if result.step:
        done = None
        if result.status == "done":
            done = StageDone(result.finished_at_ms, result.attempt, result.step_usage, result.artifacts)
        stage = StageState(
            name=result.step,
            epoch=result.job.epoch,
            attempts=result.attempt,
            started_at_ms=result.started_at_ms,
            done=done,
        )
        after = _with_stage(before, stage)
    candidate = Terminal(
        epoch=result.job.epoch,
        offset=offset,
        status=result.status,
        finished_at_ms=result.finished_at_ms,
        usage=result.usage,
        result=result.result,
        error=result.error,
    )
    held = before.terminal
    if held is not None and (-held.epoch, held.offset) <= (-candidate.epoch, candidate.offset):
        return after
    return replace(after, terminal=candidate)


def _with_stage(before: Submission, stage: StageState) -> Submission:
    known = next((s for s in before.stages if s.name == stage.name), None)
    merged = stage if known is None else _merge_stage(known, stage)
    if merged == known:
        return before
    others = tuple(s for s in before.stages if s.name != stage.name)
    return replace(before, stages=tuple(sorted((*others, merged), key=lambda s: s.name)))


def _merge_stage(a: StageState, b: StageState) -> StageState:
    if a.epoch != b.epoch:
        return a if a.epoch > b.epoch else b
    return StageState(
        name=a.name,
        epoch=a.epoch,
        attempts=max(a.attempts, b.attempts),
        started_at_ms=_earliest(a.started_at_ms, b.started_at_ms),
        progress=_furthest(a.progress, b.progress),
        done=_first_done(a.done, b.done),
    )


def _earliest(a: int, b: int) -> int:
    return min(a, b) if a and b else a or b


def _furthest(a: Progress | None, b: Progress | None) -> Progress | None:
    if a is None or b is None:
        return a or b
    return max(a, b, key=lambda p: (p.attempt, p.done, p.total, p.unit))


def _first_done(a: StageDone | None, b: StageDone | None) -> StageDone | None:
    if a is None or b is None:
        return a or b
    return min(a, b, key=_done_order)


def _done_order(done: StageDone) -> tuple[int, int, str]:
    # The repr settles the tie between two different records of one attempt and one millisecond.
    return done.finished_at_ms, done.attempt, repr(done)
