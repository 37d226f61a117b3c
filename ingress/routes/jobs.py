"""Looking at jobs: one, a list, and its changes as server-sent events."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from ingress.auth import Caller
from ingress.dependencies import dependencies_of
from ingress.job_document import full_document, is_final, short_document
from ingress.job_lookup import find_ended_job, find_job, unless_over
from ingress.problems import Problem, unavailable
from ingress.query import integer, one_of
from ingress.responses import json_response
from ingress.route_docs import EVENTS_DOC, JOB_DOC, JOBS_DOC
from ingress.waiting import shown_job
from schemas.events import JobStatus
from schemas.job_view import JobView
from streams.api_keys import Scope
from streams.tables.job_reader import Unknown
from streams.tables.view_json import view_token

MAX_WAIT_S = 60
KEEP_ALIVE_S = 15.0
_MAX_PAGE = 200


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    app.add_api_route("/v1/jobs", list_jobs, methods=["GET"], **JOBS_DOC)
    app.add_api_route("/v1/jobs/{job_id}", get_job, methods=["GET"], **JOB_DOC)
    app.add_api_route("/v1/jobs/{job_id}/events", follow_job, methods=["GET"], **EVENTS_DOC)


async def get_job(request: Request) -> Response:
    """Show a job; with `wait`, as soon as it has ended or after that many seconds, whichever is first."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    wait_s = min(integer(request, "wait", 0, least=0), MAX_WAIT_S)
    if wait_s:
        view = await find_ended_job(request, dependencies, caller, request.path_params["job_id"], wait_s)
    else:
        view = await find_job(request, dependencies, caller, request.path_params["job_id"])
    return json_response(await shown_job(view, dependencies))


async def list_jobs(request: Request) -> Response:
    """List the caller's jobs, newest first, without their results."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    try:
        page = await dependencies.jobs.list(
            caller.service,
            request.query_params.get("module"),
            one_of(request, "status", [str(status) for status in JobStatus if status != JobStatus.PURGED]),
            min(integer(request, "limit", 50, least=1), _MAX_PAGE),
            request.query_params.get("cursor"),
        )
    except ValueError as e:
        raise Problem(422, "invalid_parameter", "cursor: it is none of ours", "take `next_cursor` of a page") from e
    if isinstance(page, Unknown):
        raise unavailable("view_unavailable", f"jobs cannot be listed now: {page.reason}", retry_after_s=2)
    return json_response({"jobs": [short_document(view) for view in page.jobs], "next_cursor": page.next_cursor})


async def follow_job(request: Request) -> Response:
    """Send the job at once and after each change, until it has ended."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    view = await find_job(request, dependencies, caller, request.path_params["job_id"])
    await full_document(view, dependencies.blobs)  # what cannot be shown is told while the answer can still say so
    return StreamingResponse(
        _events(request, caller, view),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _events(request: Request, caller: Caller, view: JobView) -> AsyncGenerator[bytes]:
    dependencies = dependencies_of(request)
    while True:
        yield _event(await shown_job(view, dependencies))
        token = view_token(view)
        while view_token(view) == token:
            if is_final(view):
                return
            waiting = dependencies.notifications.wait_for_change(view.document["job_id"], token, KEEP_ALIVE_S)
            found = await unless_over(request, dependencies, waiting)
            if found is None:
                return
            if isinstance(found, JobView) and found.service == caller.service:
                view = found
            if not isinstance(found, JobView) or view_token(view) == token:
                yield b": still here\n\n"


def _event(document: dict[str, Any]) -> bytes:
    return b"event: job\ndata: " + orjson.dumps(document) + b"\n\n"
