"""Which usage the end of a job must have, and what excuses that some is missing. Pure.

The runtime writes usage with the end of every attempt: done, failed, cancelled at work, or withdrawn when its turn
comes. Only a step whose request nobody has read has none.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from schemas.events import JobResult, JobStatus
from streams.tables.log_expiry import LOG_EXPIRED


def missing_steps(result: JobResult, metered: AbstractSet[str], begun: AbstractSet[str]) -> tuple[str, ...]:
    """Return the steps whose usage must be on the log and is not, in their order.

    `metered` are those that have usage, `begun` those that work is known to have begun on.
    """
    steps = tuple(step.name for step in result.steps)
    return tuple(step for step in steps[: _due(result, steps, metered | begun)] if step not in metered)


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


def _due(result: JobResult, steps: tuple[str, ...], known: AbstractSet[str]) -> int:
    """Return how many of the steps must have usage: what comes before a step that has been reached was at work."""
    reached = max((at + 1 for at, step in enumerate(steps) if step in known), default=0)
    if result.status == JobStatus.DONE:
        return len(steps)
    if result.status != JobStatus.FAILED:
        return reached
    stage = result.step or (result.error.stage if result.error is not None else "")
    if stage not in steps:
        return max(reached, 1)
    # What retention removed was never at work.
    return max(reached, steps.index(stage) + (not _expired(result)))


def _expired(result: JobResult) -> bool:
    return result.error is not None and result.error.code == LOG_EXPIRED
