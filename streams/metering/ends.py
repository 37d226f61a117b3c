"""Which usage the end of a job must have, and what excuses that some is missing. Pure.

The runtime writes usage with the end of every attempt: done, failed, cancelled at work, or withdrawn when its turn
comes. Only a step whose request nobody has read has none.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from schemas.events import JobResult, JobStatus, UsageEvent
from streams.tables.log_expiry import LOG_EXPIRED


class Measured(NamedTuple):
    """What of a usage event tells whether it is the one that an end must have; waste is none."""

    epoch: int
    outcome: str
    final: bool


Metered = Mapping[str, AbstractSet[Measured]]
"""What of a job's usage is on the log, by step."""


def measured(event: UsageEvent) -> Measured:
    """Return what is to be known of an event that is not waste."""
    return Measured(event.epoch, event.outcome, event.final)


def missing_steps(result: JobResult, metered: Metered, begun: AbstractSet[str]) -> tuple[str, ...]:
    """Return the steps whose usage must be on the log and is not, in their order.

    `begun` are those that work is known to have begun on.
    """
    steps = tuple(step.name for step in result.steps)
    due = steps[: _due(result, steps, metered.keys() | begun)]
    return tuple(step for step in due if not any(_is_due(result, step, each) for each in metered.get(step, ())))


def unread(result: JobResult, metered: AbstractSet[str]) -> str:
    """Return why a step that nobody read may have no usage; empty when there is no such step."""
    if result.status == JobStatus.CANCELLED and not metered:
        return "cancelled before its request was read"
    if _expired(result) and result.error is not None and result.error.stage not in metered:
        return f"failed: {LOG_EXPIRED}"
    return ""


def unmetered(result: JobResult, missing: tuple[str, ...]) -> str:
    """Return what is missing of a job's usage, for people."""
    return f"{result.status} without usage of {', '.join(missing)}"


def excuse(missing: tuple[str, ...], refused: Mapping[str, str]) -> str:
    """Return why the ledger has left the missing steps out, by the codes of what was refused; empty when it has not."""
    codes = sorted({refused[step] for step in missing if step in refused})
    return f"refused: {', '.join(codes)}" if missing and all(step in refused for step in missing) else ""


def _is_due(result: JobResult, step: str, found: Measured) -> bool:
    """Tell whether a step's usage is what the end needs: of the step that ended the job, the record that counts it."""
    epoch, stage = result.job.epoch, _stage(result)
    if result.status not in (JobStatus.DONE, JobStatus.FAILED) or not stage:
        return found.epoch <= epoch
    if step == stage:
        return found.epoch == epoch and found.final
    # A replayed dead letter goes on where the job failed: what came before was done in an earlier epoch.
    return found.epoch <= epoch and found.outcome == JobStatus.DONE


def _stage(result: JobResult) -> str:
    last = result.steps[-1].name if result.status == JobStatus.DONE else ""
    return result.step or (result.error.stage if result.error is not None else last)


def _due(result: JobResult, steps: tuple[str, ...], known: AbstractSet[str]) -> int:
    """Return how many of the steps must have usage: what comes before a step that has been reached was at work."""
    reached = max((at + 1 for at, step in enumerate(steps) if step in known), default=0)
    if result.status == JobStatus.DONE:
        return len(steps)
    if result.status != JobStatus.FAILED:
        return reached
    stage = _stage(result)
    if stage not in steps:
        return max(reached, 1)
    # What retention removed was never at work.
    return max(reached, steps.index(stage) + (not _expired(result)))


def _expired(result: JobResult) -> bool:
    return result.error is not None and result.error.code == LOG_EXPIRED
