"""Submissions go to their route at once.

The application would look at a score of paths before, and wrap the request in layers that this route does without:
a third of what ingress did for a submission.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.dependencies import dependencies_of
from ingress.failures import FORESEEN, failure_response
from ingress.routes.submit import submit

_PREFIX = "/v1/"


class ShortSubmit:
    """Middleware that takes `POST /v1/{module}` for modules that there are; everything else goes the usual way."""

    path = "/v1/{module}"

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        name = scope["path"].removeprefix(_PREFIX)
        if dependencies_of(request).modules.get(name) is None:
            await self._app(scope, receive, send)
            return
        scope["route"], scope["path_params"] = self, {"module": name}
        try:
            response = await submit(request)
        except FORESEEN as e:
            response = failure_response(request, e)
        await response(scope, receive, send)
