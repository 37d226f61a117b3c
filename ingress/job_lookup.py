"""Finds a caller's job: 404 only where it is certain, 503 where it cannot be told."""

from fastapi import Request

from ingress.auth import Caller
from ingress.dependencies import Dependencies
from ingress.problems import Problem, unavailable
from schemas.events import JobStatus
from schemas.ids import is_job_id
from schemas.job_view import JobView
from streams.tables.job_reader import Missing, Unknown

# After a 202 the view is a few milliseconds behind; while it is rebuilt, seconds.
PATIENCE_S = 2.0


async def find_job(
    request: Request, dependencies: Dependencies, caller: Caller, job_id: str, wait_s: float = 0
) -> JobView:
    """Return the caller's job; one who is ready to wait is not turned away while the view catches up.

    Raises Problem: 404 when there is none, or it belongs to another service; 503 while the view
    cannot tell.
    """
    if not is_job_id(job_id):
        raise not_found()
    request.scope["job_id"] = job_id
    found = await dependencies.jobs.get(job_id)
    if isinstance(found, Unknown):
        found = await dependencies.notifications.wait_for_change(job_id, None, max(PATIENCE_S, wait_s))
    return checked(found, caller)


def checked(found: JobView | Missing | Unknown, caller: Caller) -> JobView:
    """Return the view when there is one and it is the caller's; raise Problem as `find_job` does."""
    if isinstance(found, Unknown):
        raise unavailable("view_unavailable", f"the job cannot be looked up now: {found.reason}", retry_after_s=2)
    if isinstance(found, Missing) or found.service != caller.service:
        raise not_found()
    if found.document["status"] == JobStatus.PURGED:
        raise purged(found)
    return found


def purged(view: JobView) -> Problem:
    """Return the 410 of a job that was purged."""
    return Problem(
        410,
        "job_purged",
        f"the job was purged at {view.document['updated_at']}: its input, its pages and its result were removed",
        "submit the document again if it is needed",
    )


def content_removed() -> Problem:
    """Return the 410 of a job's content whose time is over while the job is still shown."""
    return Problem(
        410,
        "content_removed",
        "this part of the job is no longer kept: its retention is over",
        "submit the document again if it is needed; GET /v1/jobs lists the job without its result",
    )


def not_found() -> Problem:
    """Return the 404 of a job; the same whether it does not exist or is another service's."""
    return Problem(
        404, "job_not_found", "there is no such job", "check the id; jobs are seen by their own service only"
    )
