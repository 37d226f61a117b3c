"""A job on the terminal: a table of its stages, and one line for where there is no terminal."""

from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

_COLOURS = {"done": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}


def stage_table(job: dict[str, Any]) -> Table:
    """Return the stages as a table."""
    table = Table(
        "stage",
        "status",
        "progress",
        "seconds",
        "attempts",
        title=f"{job['module']} {job['job_id']}",
        caption=escape(_waiting(job)) or None,
    )
    for stage in job["stages"]:
        colour = _COLOURS.get(stage["status"], "dim")
        table.add_row(
            stage["name"],
            f"[{colour}]{stage['status']}[/]",
            _progress(stage),
            _seconds(stage["started_at"], stage["finished_at"]),
            str(stage["attempts"] or ""),
        )
    return table


def job_line(job: dict[str, Any]) -> str:
    """Return a job as one line of plain text."""
    stages = ", ".join(f"{s['name']} {s['status']}{_bracketed(_progress(s))}" for s in job["stages"])
    error = job.get("error")
    why = f" · {error['code']}: {error['message']}" if error else ""
    waits = f" · {waiting}" if (waiting := _waiting(job)) else ""
    return f"{job['job_id']} {job['module']} {job['status']} · {stages}{why}{waits}"


def _waiting(job: dict[str, Any]) -> str:
    """Return why nobody works on a job now; empty when somebody may."""
    waiting = job.get("waiting")
    return f"waits for {waiting['stage']}: {waiting['reason']}; {waiting['remedy']}" if waiting else ""


def job_seconds(job: dict[str, Any]) -> str:
    """Return how long a finished job took, from its submission; empty when it has not ended."""
    return _seconds(job["created_at"], job["finished_at"])


def _progress(stage: dict[str, Any]) -> str:
    progress = stage["progress"]
    return f"{progress['done']}/{progress['total']} {progress['unit']}" if progress else ""


def _bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def _seconds(start: str | None, end: str | None) -> str:
    if not start or not end:
        return ""
    return f"{(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds():.1f}"
