"""Finds a caller's job: 404 only where it is certain, 503 where it cannot be told."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from ingress.auth import Caller
from ingress.dependencies import Dependencies
from ingress.job_document import is_final
from ingress.problems import Problem, unavailable
from schemas.events import JobStatus
from schemas.ids import is_job_id
from schemas.job_view import JobView
from streams.tables.job_reader import Missing, Unknown
from streams.tasks import end_tasks

T = TypeVar("T")

# After a 202 the view is a few milliseconds behind; while it is rebuilt, seconds.
PATIENCE_S = 2.0


async def find_job(request: Request, dependencies: Dependencies, caller: Caller, job_id: str) -> JobView:
    """Return the caller's job.

    Raises Problem: 404 when there is none, or it belongs to another service; 503 while the view
    cannot tell.
    """
    _note(request, job_id)
    found = await dependencies.jobs.get(job_id)
    if isinstance(found, Unknown):
        found = await dependencies.notifications.wait_for_change(job_id, None, PATIENCE_S)
    return checked(found, caller)


async def find_ended_job(
    request: Request, dependencies: Dependencies, caller: Caller, job_id: str, wait_s: float
) -> JobView:
    """Return the caller's job as soon as it has ended, or as it is after `wait_s` seconds, or when the process ends.

    Raises Problem as `find_job` does: one who is ready to wait is not turned away while the view catches up.
    """
    _note(request, job_id)

    def enough(view: JobView) -> bool:
        return is_final(view) or view.service != caller.service

    found = await dependencies.jobs.seen(job_id)
    if not (isinstance(found, JobView) and enough(found)):
        waiting = dependencies.notifications.wait_until(job_id, enough, wait_s)
        found = await unless_over(request, dependencies, waiting)
    if found is None or (isinstance(found, Unknown) and wait_s < PATIENCE_S):
        return await find_job(request, dependencies, caller, job_id)
    return checked(found, caller)


async def unless_over(request: Request, dependencies: Dependencies, waiting: Coroutine[Any, Any, T]) -> T | None:
    """Return what is waited for; None when the caller leaves, or the process is asked to end, before it comes."""
    wanted = asyncio.ensure_future(waiting)
    over = (asyncio.ensure_future(dependencies.closing.wait()), asyncio.ensure_future(_left(request)))
    try:
        await asyncio.wait((wanted, *over), return_when=asyncio.FIRST_COMPLETED)
        return wanted.result() if wanted.done() else None
    finally:
        await end_tasks(wanted, *over)


async def _left(request: Request) -> None:
    # Only for requests without a body, or whose body was read: what comes is thrown away.
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _note(request: Request, job_id: str) -> None:
    if not is_job_id(job_id):
        raise not_found()
    request.scope["job_id"] = job_id


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
