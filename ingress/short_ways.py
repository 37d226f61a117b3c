"""Submissions and looks at a job go to their routes at once.

The application would look at a score of paths before, and wrap the request in layers that these routes do without:
a third of what ingress did for a submission.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.dependencies import dependencies_of
from ingress.failures import FORESEEN, failure_response
from ingress.routes.jobs import get_job
from ingress.routes.submit import submit

_MODULE = "/v1/"
_JOB = "/v1/jobs/"


@dataclass(frozen=True, slots=True)
class _Way:
    path: str
    parameter: str
    route: Callable[[Request], Awaitable[Response]]


_TO_SUBMIT = _Way("/v1/{module}", "module", submit)
_TO_A_JOB = _Way("/v1/jobs/{job_id}", "job_id", get_job)


class ShortWays:
    """Middleware that takes `POST /v1/{module}` for modules that there are, and `GET /v1/jobs/{job_id}`.

    Everything else goes the usual way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = _found(scope, receive, send) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        way, request, value = found
        scope["route"], scope["path_params"] = way, {way.parameter: value}
        try:
            response = await way.route(request)
        except FORESEEN as e:
            response = failure_response(request, e)
        await response(scope, receive, send)


def _found(scope: Scope, receive: Receive, send: Send) -> tuple[_Way, Request, str] | None:
    path: str = scope["path"]
    if scope["method"] == "GET" and path.startswith(_JOB):
        job_id = path.removeprefix(_JOB)
        return (_TO_A_JOB, Request(scope, receive, send), job_id) if job_id and "/" not in job_id else None
    if scope["method"] == "POST" and path.startswith(_MODULE):
        request, name = Request(scope, receive, send), path.removeprefix(_MODULE)
        return (_TO_SUBMIT, request, name) if dependencies_of(request).modules.get(name) is not None else None
    return None
