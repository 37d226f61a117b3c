"""The paths of both protocols. They come before `POST /v1/{module}`, which takes every name."""

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ingress.chat import listings
from ingress.chat.calls import CallRoute
from ingress.chat.listings import ListingRoute
from ingress.chat.replies import Reply
from ingress.problems import Problem
from processors.llm.protocols.values import Dialect, Task

_CALLS = (
    CallRoute("/v1/chat/completions", Dialect.OPENAI, Task.CHAT),
    CallRoute("/v1/completions", Dialect.OPENAI, Task.COMPLETION),
    CallRoute("/v1/embeddings", Dialect.OPENAI, Task.EMBED),
    CallRoute("/api/chat", Dialect.OLLAMA, Task.CHAT),
    CallRoute("/api/generate", Dialect.OLLAMA, Task.COMPLETION),
    CallRoute("/api/embed", Dialect.OLLAMA, Task.EMBED),
)
_LISTINGS = (
    ("GET", ListingRoute("/v1/models", Dialect.OPENAI, listings.models)),
    ("GET", ListingRoute("/v1/models/{model:path}", Dialect.OPENAI, listings.model)),
    ("GET", ListingRoute("/api/tags", Dialect.OLLAMA, listings.tags)),
    ("GET", ListingRoute("/api/version", Dialect.OLLAMA, listings.version)),
    ("POST", ListingRoute("/api/show", Dialect.OLLAMA, listings.show)),
)


class MethodRoute:
    """Serves one method of a path and refuses the others in the protocol of the path."""

    def __init__(self, method: str, route: CallRoute | ListingRoute) -> None:
        self.path = route.path
        self._method = method
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] == self._method:
            await self._route(scope, receive, send)
            return
        scope["route"] = self
        problem = Problem(
            405,
            "method_not_allowed",
            f"{self.path} does not take {scope['method']}",
            f"send {self._method}",
            headers={"Allow": self._method},
        )
        await Reply(send).refuse(self._route.dialect, problem)


_ROUTES = tuple(MethodRoute(method, route) for method, route in (*(("POST", call) for call in _CALLS), *_LISTINGS))


class ShortWay:
    """Middleware that takes calls to their route at once.

    The application would look at a score of paths before, and wrap each part of an answer in layers that
    these routes do without: a tenth of what a call costs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes = {route.path: route for route in _ROUTES if "{" not in route.path}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._routes.get(scope.get("path", ""), self._app)(scope, receive, send)


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    app.router.routes.extend(Route(route.path, route) for route in _ROUTES)
