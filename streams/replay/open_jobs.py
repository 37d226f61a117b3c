"""How many jobs of a replay may be open at a time, and how those that are open are ended. Pure.

A replay is paused, or cancelled, while its jobs wait for a model: what was started would be worked on for hours.
"""

from collections import deque

from schemas.events import JobControl, JobEvent, JobEventKind, JobResult, JobStatus
from schemas.ids import event_id
from schemas.topics import JOB_CONTROL, JOB_EVENTS, RESULTS
from streams.log.protocols import Outgoing
from streams.replay.heads import StageHead

LEAST_OPEN = 64
_WORK_S = 10.0

_CANCEL = "cancel"


class Window:
    """As many open jobs as end in 20 s, by the last 10; at least LEAST_OPEN, so that no processor is idle."""

    def __init__(self) -> None:
        self._ended: deque[tuple[float, int]] = deque()

    def note(self, count: int, now_s: float) -> None:
        """Note that so many jobs have ended."""
        self._ended.append((now_s, count))
        while self._ended[0][0] < now_s - _WORK_S:
            self._ended.popleft()

    def room(self, open_jobs: int) -> int:
        """Return how many more may be started."""
        return max(LEAST_OPEN, 2 * sum(count for _, count in self._ended)) - open_jobs


def cancelled(head: StageHead, now_ms: int) -> tuple[Outgoing, Outgoing, Outgoing]:
    """Return what cancels a job, in the order in which it is written: `results` decides, the others stop and inform."""
    job = head.job
    result = JobResult(
        event_id=event_id(job.job_id, job.epoch, "result", JobStatus.CANCELLED),
        job=job,
        status=JobStatus.CANCELLED,
        steps=head.steps,
        finished_at_ms=now_ms,
    )
    control = JobControl(event_id(job.job_id, job.epoch, _CANCEL), job.job_id, job.service, _CANCEL, now_ms)
    event = JobEvent(
        event_id=event_id(job.job_id, job.epoch, JobEventKind.CANCELLED),
        job=job,
        kind=JobEventKind.CANCELLED,
        steps=head.steps,
        at_ms=now_ms,
    )
    return (
        Outgoing(RESULTS, job.job_id, result, {}),
        Outgoing(JOB_CONTROL, job.job_id, control, {}),
        Outgoing(JOB_EVENTS, job.job_id, event, {}),
    )
