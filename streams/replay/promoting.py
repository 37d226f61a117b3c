"""What makes a replay's result a job's own: a record in a higher epoch, so that history stays. Pure."""

from dataclasses import replace

from schemas.events import JobEvent, JobEventKind, JobResult, JobStatus
from schemas.ids import event_id
from schemas.topics import JOB_EVENTS, RESULTS
from streams.log.protocols import Outgoing
from streams.replay.outcomes import promotion_id


def promotion(replay_id: str, before: JobResult, after: JobResult, now_ms: int) -> tuple[Outgoing, Outgoing]:
    """Return the records that give the job of `before` the result of `after`.

    Its usage and times stay: what a replay used is the replay's own.
    """
    epoch, original = before.job.epoch + 1, before.job.job_id
    job = replace(before.job, epoch=epoch)
    own_step = after.step in {step.name for step in before.steps}
    promoted = replace(
        before,
        event_id=promotion_id(original, epoch, replay_id),
        job=job,
        status=JobStatus.DONE,
        result=after.result,
        error=None,
        step=after.step if own_step else "",
        attempt=after.attempt,
        artifacts={**before.artifacts, **after.artifacts},
    )
    done = JobEvent(
        event_id=event_id(original, epoch, JobEventKind.DONE),
        job=job,
        kind=JobEventKind.DONE,
        steps=promoted.steps,
        at_ms=now_ms,
        step=promoted.step,
    )
    return Outgoing(RESULTS, original, promoted, {}), Outgoing(JOB_EVENTS, original, done, {})
