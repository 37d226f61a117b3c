"""What this task works on: the trace that its log lines name, and that its calls to others go on with."""

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import NamedTuple

from streams.log.protocols import Headers

_FORM = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

TRACE_HEADERS = ("traceparent", "tracestate")
_MOST_STATE_BYTES = 512  # what W3C asks everybody to carry; it is copied into every record of a job


class _Traced(NamedTuple):
    traceparent: str
    named: Mapping[str, str]


_NOTHING = _Traced("", MappingProxyType({}))
_current: ContextVar[_Traced] = ContextVar("traced", default=_NOTHING)


class traced:  # noqa: N801 - used as a function; as a generator it would cost five times as much, in every call
    """Name the trace of a record's (or request's) headers, and `about`, in every log line of this task and its own.

    A `traceparent` of another form than W3C's counts as none: a batch door's client writes what he likes.
    """

    def __init__(self, headers: Headers, **about: str) -> None:
        given = headers.get("traceparent", b"").decode("ascii", "replace") if headers else ""
        match = _FORM.fullmatch(given)
        self._trace = {"trace_id": match[1]} if match else {}
        self._traceparent = given if match else ""
        self._about = about
        self._token: Token[_Traced] | None = None

    def __enter__(self) -> None:
        named = {**_current.get().named, **self._trace, **self._about}
        self._token = _current.set(_Traced(self._traceparent, named))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._token is not None
        _current.reset(self._token)


def trace_begun_or_kept(headers: Headers) -> Headers:
    """Return the trace headers of a record; a new trace where it has none, or one of another form than W3C's.

    A `tracestate` beyond 512 bytes is left out.
    """
    if _FORM.fullmatch(headers.get("traceparent", b"").decode("ascii", "replace")) is not None:
        kept = {name: headers[name] for name in TRACE_HEADERS if name in headers}
        if len(kept.get("tracestate", b"")) > _MOST_STATE_BYTES:
            del kept["tracestate"]
        return kept
    return {"traceparent": new_traceparent().encode()}


def new_traceparent() -> str:
    """Return the `traceparent` of a new trace."""
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def traceparent() -> str:
    """Return the `traceparent` of what this task works on; empty when there is none."""
    return _current.get().traceparent


def named_now() -> Mapping[str, str]:
    """Return what the log lines of this task name."""
    return _current.get().named


def go_on_with(traceparent: str) -> "Token[_Traced]":
    """Make this what the task works on; the token is for `go_back`, in the same task."""
    return _current.set(_Traced(traceparent, _current.get().named))


def go_back(token: "Token[_Traced]") -> None:
    """Make what the task worked on before `go_on_with` its work again."""
    _current.reset(token)
