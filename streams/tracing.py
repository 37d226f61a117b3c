"""What this task works on: the trace that its log lines name, and that its calls to others go on with."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

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
