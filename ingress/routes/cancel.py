"""`DELETE /v1/jobs/{id}`: cancel a job."""

import time

from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.dependencies import Dependencies, dependencies_of
from ingress.job_document import full_document, is_final
from ingress.job_lookup import PATIENCE_S, checked, find_job
from ingress.problems import Problem, unavailable
from ingress.responses import json_response
from ingress.route_docs import CANCEL_DOC
from ingress.tracing import trace_headers
from schemas.errors import Outage
from schemas.events import JobStatus
from schemas.job_view import JobView
from streams.api_keys import Scope
from streams.cancelling import cancelled, stopped
from streams.log.protocols import Headers
from streams.tables.view_json import view_token


def add_routes(app: FastAPI) -> None:
    """Add the route."""
    app.add_api_route("/v1/jobs/{job_id}", cancel_job, methods=["DELETE"], **CANCEL_DOC)


async def cancel_job(request: Request) -> Response:
    """Cancel a job that has not ended. Cancelling it again changes nothing; a job that has ended is a 409."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    view = await find_job(request, dependencies, caller, request.path_params["job_id"])
    status = 200
    try:
        if not is_final(view):
            await put_cancellation(dependencies, view, trace_headers(request))
        elif view.document["status"] == JobStatus.CANCELLED:
            # The first asking may have ended between its records: what stops the work is written again.
            await put_stop(dependencies, view, trace_headers(request))
    except Outage as e:
        raise unavailable("log_unavailable", "the log does not take the cancellation now") from e
    if not is_final(view):
        changed = await dependencies.notifications.wait_for_change(view.job.job_id, view_token(view), PATIENCE_S)
        # The view may be behind: the cancellation is on the log, and will show.
        view = checked(changed, caller) if isinstance(changed, JobView) else view
        status = 200 if is_final(view) else 202
    if view.document["status"] in (JobStatus.DONE, JobStatus.FAILED):
        raise Problem(
            409,
            "job_finished",
            f"the job is {view.document['status']} already",
            f"its outcome is at /v1/jobs/{view.job.job_id}",
        )
    return json_response(await full_document(view, dependencies.blobs), status)


async def put_cancellation(dependencies: Dependencies, view: JobView, headers: Headers) -> None:
    """Cancel a job that has not ended. Raises Outage."""
    for record in cancelled(view.job, view.steps, _now_ms(), headers):
        await dependencies.publisher.publish(*record)


async def put_stop(dependencies: Dependencies, view: JobView, headers: Headers) -> None:
    """Have the processors stop work on a job; again changes nothing. Raises Outage."""
    await dependencies.publisher.publish(*stopped(view.job, _now_ms(), headers))


def _now_ms() -> int:
    return int(time.time() * 1000)
