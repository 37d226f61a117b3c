"""The W3C trace context that a request begins, or goes on with, and that its records carry."""

import re

from fastapi import Request

from streams.log.protocols import Headers
from streams.tracing import new_traceparent, traceparent

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_headers(request: Request) -> Headers:
    """Return the headers of the records that this request causes: of its span, where spans are exported."""
    given = traceparent() or request.headers.get("traceparent", "")
    if _TRACEPARENT.fullmatch(given) is None:
        given = new_traceparent()
    request.scope["trace_id"] = given.split("-")[1]  # for the log line
    return {"traceparent": given.encode()}
