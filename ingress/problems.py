"""Errors as callers see them: RFC 9457 `application/problem+json` with a stable `code` and what to do."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from schemas.errors import GatewayError, InvalidInput, Outage

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}

_STATUS_OF_CODE = {
    "unsupported_media_type": 415,
    "not_what_it_claims": 415,
    "blob_missing": 404,
    "record_too_large": 413,
}


class Problem(Exception):
    """An answer that is an error. `headers` go out with it."""

    def __init__(
        self, status: int, code: str, detail: str, remedy: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.remedy = remedy
        self.headers = dict(headers or {})


def unavailable(code: str, detail: str, remedy: str = "", *, retry_after_s: int = RETRY_AFTER_S) -> Problem:
    """Return a 503 that tells when to ask again."""
    return Problem(
        503,
        code,
        detail,
        remedy or f"ask again in {retry_after_s} seconds",
        headers={"Retry-After": str(retry_after_s)},
    )


def problem_of(error: GatewayError) -> Problem:
    """Return the answer for one of the gateway's own errors."""
    if error.code in _STATUS_OF_CODE:
        return Problem(_STATUS_OF_CODE[error.code], error.code, error.message, error.remedy)
    match error:
        case Outage():
            return unavailable(error.code, error.message, error.remedy)
        case InvalidInput():
            return Problem(422, error.code, error.message, error.remedy)
        case _:
            return Problem(500, error.code, error.message, error.remedy)


class Refusal(Response):
    """An answer that is an error. It leaves its code for the request's log line, where an operator looks for it."""

    def __init__(self, body: bytes, problem: Problem, media_type: str, status: int | None = None) -> None:
        super().__init__(body, status or problem.status, problem.headers, media_type)
        self._code = problem.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope["code"] = self._code
        await super().__call__(scope, receive, send)


def problem_response(problem: Problem) -> Response:
    """Return the HTTP answer of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:llm-gateway:problem:{problem.code}",
        "title": _TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "remedy": problem.remedy,
    }
    return Refusal(orjson.dumps(body), problem, PROBLEM_TYPE)
