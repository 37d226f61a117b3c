"""`/v1/purges`: content removed before its time, for administrators."""

from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.dependencies import dependencies_of
from ingress.problems import Problem, unavailable
from ingress.responses import json_response
from ingress.route_docs import PURGE_DOC, PURGES_DOC
from ingress.submit_body import read_bounded
from schemas.errors import InvalidInput
from schemas.job_view import iso_time
from schemas.purges import Purge, PurgeScope
from schemas.times import iso_ms
from streams.api_keys import Scope, check_service
from streams.purge.planning import plan_document

_FIELDS = ("job", "service", "before", "dry_run")
_MOST_BYTES = 4 * 1024
_STATUS = {"job_not_found": 404, "job_running": 409}
_SHOWN_S = 5.0


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    app.add_api_route("/v1/purges", purge, methods=["POST"], **PURGE_DOC)
    app.add_api_route("/v1/purges", list_purges, methods=["GET"], **PURGES_DOC)


async def purge(request: Request) -> Response:
    """Remove the content of a job, or of a service's older jobs and calls, for good; `dry_run` only tells."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.ADMIN)
    body = _checked(await read_bounded(request, _MOST_BYTES))
    scope = _scope(body)
    try:
        plan = await dependencies.purger.plan(scope)
    except InvalidInput as e:
        raise Problem(_STATUS.get(e.code, 422), e.code, e.message, e.remedy) from e
    if body.get("dry_run", False) or plan.empty:
        return json_response(plan_document(plan))
    purge_id, counts = await dependencies.purger.carry_out(plan, caller.key_id)
    shown = await dependencies.purger.shown(plan, _SHOWN_S)
    return json_response({**plan_document(plan, done=counts, purge_id=purge_id), "shown": shown})


async def list_purges(request: Request) -> Response:
    """List what was purged, newest first: by whom, when, and how much."""
    dependencies = dependencies_of(request)
    dependencies.authenticator.caller(request, Scope.ADMIN)
    if not await dependencies.purged.refresh():
        raise unavailable("purges_unavailable", "the topic `purges` cannot be read now", retry_after_s=2)
    return json_response({"purges": [_line(one) for one in reversed(dependencies.purged.all())]})


def _checked(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as e:
        raise Problem(422, "invalid_json", "the body is no JSON", 'such as {"job": "…", "dry_run": true}') from e
    if not isinstance(body, dict):
        raise Problem(422, "invalid_json", "the body is no JSON object", 'such as {"job": "…", "dry_run": true}')
    unknown = sorted(set(body) - set(_FIELDS))
    if unknown:
        raise Problem(
            422, "unknown_field", f"there is no field {unknown[0][:80]!r}", f"fields are {', '.join(_FIELDS)}"
        )
    for name in _FIELDS:
        wanted = bool if name == "dry_run" else str
        if body.get(name) is not None and not isinstance(body[name], wanted):
            raise Problem(422, "invalid_body", f"{name} is no {wanted.__name__}", "correct it or leave it out")
    return body


def _scope(body: dict[str, Any]) -> PurgeScope:
    before, service = body.get("before"), body.get("service")
    return PurgeScope(
        job_id=body.get("job") or "",
        service=check_service(service) if service else "",
        before_ms=iso_ms("before", before) if before else 0,
    )


def _line(one: Purge) -> dict[str, Any]:
    return {
        "purge_id": one.purge_id,
        "state": one.kind,
        "at": iso_time(one.at_ms),
        "by": one.by,
        "job": one.scope.job_id or None,
        "service": one.scope.service,
        "before": iso_time(one.scope.before_ms),
        "jobs": one.counts.jobs,
        "calls": one.counts.calls,
        "blobs": one.counts.blobs,
        "blob_bytes": one.counts.blob_bytes,
    }
