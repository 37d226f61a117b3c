"""How errors look to a caller: the HTTP status, and the body or last event in the caller's protocol."""

import math
from dataclasses import dataclass

import orjson

from processors.llm.errors import (
    CallRefused,
    ModelNotAllowed,
    NoUpstream,
    QueueFull,
    UnknownModel,
    UpstreamBusy,
    UpstreamFailed,
    WaitedTooLong,
)
from processors.llm.protocols.values import Dialect
from schemas.errors import GatewayError, InvalidInput, Outage, Transient

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as an HTTP answer. `retry_after_s` 0: no such header."""

    status: int
    body: bytes
    retry_after_s: int


def failure(dialect: Dialect, error: GatewayError) -> Failure:
    """Return an error that happened before the first byte went out."""
    wait_s = retry_after_s(error)
    return Failure(status_of(error), _body(dialect, error), wait_s)


def last_event(dialect: Dialect, error: GatewayError) -> bytes:
    """Return the event with which a stream ends after an error; no end mark follows it."""
    body = _body(dialect, error)
    return b"data: " + body + b"\n\n" if dialect is Dialect.OPENAI else body + b"\n"


def status_of(error: GatewayError) -> int:
    """Return the HTTP status of an error."""
    match error:
        case CallRefused():
            return error.status
        case UnknownModel():
            return 404
        case ModelNotAllowed():
            return 403
        case InvalidInput():
            return 400
        case QueueFull():
            return 429
        case Outage() | WaitedTooLong() | UpstreamBusy():
            return 503
        case UpstreamFailed():
            return 502
        case Transient():
            return 503
        case _:
            return 500


def retry_after_s(error: GatewayError) -> int:
    """Return when to ask again, in whole seconds, at least 1; 0 where asking again makes no sense."""
    if isinstance(error, QueueFull | WaitedTooLong | NoUpstream | UpstreamBusy):
        return max(1, math.ceil(error.retry_after_s))
    return 1 if isinstance(error, Transient) else 0


def _body(dialect: Dialect, error: GatewayError) -> bytes:
    told = error.told if isinstance(error, CallRefused) and error.told else error.message
    text = f"{told}: {error.remedy}" if error.remedy else told
    return failure_body(dialect, status_of(error), text, error.code)


def failure_body(dialect: Dialect, status: int, text: str, code: str) -> bytes:
    """Return the body of an error in a protocol's shape."""
    if dialect is Dialect.OLLAMA:
        return orjson.dumps({"error": text})
    kind = _OPENAI_TYPES.get(status, "api_error")
    return orjson.dumps({"error": {"message": text, "type": kind, "param": None, "code": code}})
