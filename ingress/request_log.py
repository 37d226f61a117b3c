"""One log line and the metrics of each request. Never a key, a query, a path as sent, or content."""

import os
import re
import time
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingress.problems import Problem, problem_response
from streams.logs import get_logger, places_of
from streams.metrics import HTTP_IN_FLIGHT, HTTP_REQUESTS, HTTP_SECONDS
from streams.spans import NO_SPAN, Kind, Span, recording, span

log = get_logger(__name__)

Refused = Callable[[Problem], Response]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADER = b"x-request-id"
_ABANDONED = 499
_PROBES = ("/healthz", "/readyz")


class RequestLog:
    """Plain ASGI middleware: gives each request an id, logs its end, answers what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._in_flight = 0
        HTTP_IN_FLIGHT.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        status = 0
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER, request_id.encode())]
            await send(message)

        self._in_flight += 1
        with _server_span(scope) as begun:
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as e:
                # The text of an unforeseen error may quote content: its class and place are logged.
                log.error("http.failed", request_id=request_id, error=type(e).__name__, where=places_of(e))
                if status == 0:
                    problem = Problem(500, "internal_error", f"request {request_id} failed", "report it with this id")
                    # Routes of another protocol tell here what their callers take for an error.
                    refused: Refused = scope.get("refused", problem_response)
                    await refused(problem)(scope, receive, send_with_id)
            finally:
                self._in_flight -= 1
                self._tell(scope, request_id, status or _ABANDONED, time.perf_counter() - started)
                _tell_span(begun, scope, status or _ABANDONED)

    def _tell(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        HTTP_REQUESTS.labels(route, scope["method"], str(status)).inc()
        HTTP_SECONDS.labels(route, scope["method"]).observe(seconds)
        line: dict[str, Any] = {
            "request_id": request_id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
        }
        if (code := scope.get("code")) is not None:
            line["code"] = code
        if (caller := scope.get("caller")) is not None:
            line["service"] = caller.service
        if (job_id := scope.get("job_id")) is not None:
            line["job_id"] = job_id
        if (call_id := scope.get("call_id")) is not None:
            line["call_id"] = call_id
        if (trace_id := scope.get("trace_id")) is not None:
            line["trace_id"] = trace_id
        log.info("http.request", **line)


def _server_span(scope: Scope) -> Span:
    """Begin the span of a request, under what its `traceparent` names. Probes have none: they would be most of all."""
    if not recording() or scope["path"] in _PROBES:
        return NO_SPAN
    above = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")
    about = {"http.request.method": scope["method"], "url.scheme": scope["scheme"]}
    return span(scope["method"], Kind.SERVER, about, parent=above.decode("latin-1"))


def _tell_span(begun: Span, scope: Scope, status: int) -> None:
    if begun is NO_SPAN:
        return
    route = getattr(scope.get("route"), "path", "none")
    begun.name(f"{scope['method']} {route}")
    begun.set({"http.route": route, "http.response.status_code": status})
    if (caller := scope.get("caller")) is not None:
        begun.set({"gateway.service": caller.service})
    if (job_id := scope.get("job_id")) is not None:
        begun.set({"gateway.job_id": job_id})
    if status >= 500:
        begun.fail(str(status))


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER:
            given = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(given):
                return given
    return os.urandom(8).hex()
