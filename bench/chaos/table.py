"""The outcome of a run: one row a fault, as text and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.chaos.checker import Verdict
from bench.chaos.journal import Account

QUIET = "(none)"


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault as it happened. Times in seconds since 1970.

    `recovery_s` is how long after its end a new job was done, `ready_s` how long until every process said
    again that it serves; None: not in time.
    """

    fault: str
    began: float
    ended: float
    recovery_s: float | None
    ready_s: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """What happened under one fault."""

    fault: str
    injected: int
    jobs: int
    lost: int
    doubled: int
    recovery_s: tuple[float | None, ...]
    ready_s: tuple[float | None, ...] = ()
    note: str = ""


def rows(
    injections: Sequence[Injection], account: Account, verdict: Verdict, absent: dict[str, str], names: Iterable[str]
) -> list[Row]:
    """Return a row a fault; a job belongs to the fault during which it was submitted."""
    by_fault: dict[str, list[str]] = {}
    for job_id in account.acknowledged:
        at = account.planned[job_id].at
        under = next((i.fault for i in injections if i.began <= at <= i.ended), QUIET)
        by_fault.setdefault(under, []).append(job_id)
    found: list[Row] = []
    for name in [*names, QUIET]:
        jobs = by_fault.get(name, [])
        mine = [i for i in injections if i.fault == name]
        note = absent.get(name, "" if mine or name == QUIET else "its turn did not come in this time")
        found.append(
            Row(
                name,
                len(mine),
                len(jobs),
                sum(job in verdict.lost for job in jobs),
                sum(job in verdict.doubled for job in jobs),
                tuple(i.recovery_s for i in mine),
                tuple(i.ready_s for i in mine),
                note,
            )
        )
    return found


def as_text(found: Sequence[Row]) -> str:
    """Return the table for people."""
    header = ("fault", "injected", "jobs", "lost", "doubled", "job done s", "all ready s", "")
    lines = [
        (
            r.fault,
            str(r.injected),
            str(r.jobs),
            str(r.lost),
            str(r.doubled),
            _times(r.recovery_s),
            _times(r.ready_s),
            r.note,
        )
        for r in found
    ]
    wide = [max(len(line[i]) for line in (header, *lines)) for i in range(len(header))]
    out: list[str] = []
    for line in (header, *lines):
        cells = [
            cell.ljust(w) if i in (0, 7) else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, wide, strict=True))
        ]
        out.append("  ".join(cells).rstrip())
    return "\n".join(out)


def as_json(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the table for scripts."""
    return [
        {
            "fault": r.fault,
            "injected": r.injected,
            "jobs": r.jobs,
            "lost": r.lost,
            "doubled": r.doubled,
            "recovery_s": list(r.recovery_s),
            "ready_s": list(r.ready_s),
            "note": r.note,
        }
        for r in found
    ]


def _times(seconds: tuple[float | None, ...]) -> str:
    """Return the median and, of several, the longest."""
    if not seconds:
        return ""
    if None in seconds:
        return "never"
    ordered = sorted(s for s in seconds if s is not None)
    middle, longest = ordered[len(ordered) // 2], ordered[-1]
    return f"{middle:.1f}" if len(ordered) == 1 else f"{middle:.1f} / {longest:.1f}"
