"""The W3C trace context that a request begins, or goes on with, and that its records carry."""

import os
import re

from fastapi import Request

from streams.log.protocols import Headers
from streams.tracing import traceparent

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_headers(request: Request) -> Headers:
    """Return the headers of the records that this request causes: of its span, where spans are exported."""
    given = traceparent() or request.headers.get("traceparent", "")
    if _TRACEPARENT.fullmatch(given) is None:
        given = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    request.scope["trace_id"] = given.split("-")[1]  # for the log line
    return {"traceparent": given.encode()}
