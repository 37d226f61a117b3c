"""`GET /v1/usage`: what was used and what it cost, as JSON or CSV."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.auth import Caller
from ingress.dependencies import dependencies_of
from ingress.problems import Problem, unavailable
from ingress.query import one_of
from ingress.responses import json_response
from ingress.route_docs import USAGE_DOC
from schemas.usage_query import UsageQuery, usage_query
from schemas.usage_report import Report, make_report, to_csv
from streams.api_keys import Scope
from streams.metering.reader import UsageFound, UsageUnknown

JSON = "json"
CSV = "csv"


def add_routes(app: FastAPI) -> None:
    """Add the route."""
    app.add_api_route("/v1/usage", report, methods=["GET"], **USAGE_DOC)


async def report(request: Request) -> Response:
    """Report the usage of the caller's service or, to an administrator, of all or of the one asked for."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.USAGE, Scope.ADMIN)
    form = one_of(request, "format", (JSON, CSV)) or JSON
    query = _query(request, caller)
    found = await dependencies.usage.read(query)
    if isinstance(found, UsageUnknown):
        raise unavailable("usage_unavailable", f"usage cannot be told now: {found.reason}", retry_after_s=2)
    # Grouping a year of hours takes a while; meanwhile others are served.
    made = await asyncio.to_thread(make_report, found.rows, query, dependencies.prices.now())
    return _csv(made) if form == CSV else json_response(_document(made, found))


def _query(request: Request, caller: Caller) -> UsageQuery:
    given = request.query_params
    service = given.get("service") or None
    if Scope.ADMIN not in caller.scopes:
        if service is not None and service != caller.service:
            raise Problem(
                403,
                "not_your_service",
                f"the API key {caller.key_id} is of the service {caller.service} and sees only its usage",
                "leave `service` out, or use a key with the scope admin",
            )
        service = caller.service
    return usage_query(
        start=given.get("from"),
        end=given.get("to"),
        group_by=given.get("group_by"),
        zone=given.get("tz"),
        service=service,
        now_ms=time.time_ns() // 1_000_000,
    )


def _document(made: Report, found: UsageFound) -> dict[str, Any]:
    query = made.query
    zone = ZoneInfo(query.zone)

    def shown(at_ms: int) -> str:
        return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(timespec="seconds")

    return {
        "rows": [row.document(query.group_by) for row in made.rows],
        "total": made.total.document(()),
        "complete_through": datetime.fromtimestamp(found.complete_through_ms / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "from": shown(query.from_ms),
        "to": shown(query.to_ms),
        "tz": query.zone,
        "group_by": query.group_by,
        "service": query.service,
        "currency": made.currency,
        "unpriced": made.unpriced,
    }


def _csv(made: Report) -> Response:
    first, after = (made.query.label("day", at) for at in (made.query.from_ms, made.query.to_ms - 1))
    headers = {"Content-Disposition": f'attachment; filename="usage-{first}-{after}.csv"'}
    return Response(to_csv(made), 200, headers, "text/csv; charset=utf-8")
