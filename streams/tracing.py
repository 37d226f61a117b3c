"""What this task works on: the trace that its log lines name, and that its calls to others go on with."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from structlog.contextvars import bound_contextvars

from streams.log.protocols import Headers

_FORM = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str] = ContextVar("traceparent", default="")


@contextmanager
def traced(headers: Headers, **about: str) -> Generator[None]:
    """Name the trace of a record's (or request's) headers, and `about`, in every log line of this task and its own.

    A `traceparent` of another form than W3C's counts as none: a batch door's client writes what he likes.
    """
    given = headers.get("traceparent", b"").decode("ascii", "replace") if headers else ""
    match = _FORM.fullmatch(given)
    token = _current.set(given if match else "")
    try:
        with bound_contextvars(**({"trace_id": match[1]} if match else {}), **about):
            yield
    finally:
        _current.reset(token)


def traceparent() -> str:
    """Return the `traceparent` of what this task works on; empty when there is none."""
    return _current.get()


def go_on_with(traceparent: str) -> Token[str]:
    """Make this what the task works on; the token is for `go_back`, in the same task."""
    return _current.set(traceparent)


def go_back(token: Token[str]) -> None:
    """Make what the task worked on before `go_on_with` its work again."""
    _current.reset(token)
