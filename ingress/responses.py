"""Answers in JSON."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with `body` as JSON; fragments that are JSON already go in as they are."""
    return Response(orjson.dumps(body), status, dict(headers) if headers else None, "application/json")
