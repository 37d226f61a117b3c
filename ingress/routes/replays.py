"""`/v1/replays…`: past jobs done again, for administrators."""

import time
from datetime import timedelta
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from ingress.dependencies import Dependencies, dependencies_of
from ingress.problems import Problem, unavailable
from ingress.query import integer, one_of
from ingress.replay_page import LANGUAGES, diff_page
from ingress.responses import json_response
from ingress.route_docs import REPLAY_DIFF_DOC, REPLAY_DOC, REPLAY_ORDER_DOC, REPLAY_START_DOC, REPLAYS_DOC
from schemas.errors import InvalidInput
from schemas.ids import event_id, is_job_id, new_job_id
from schemas.job_view import iso_time
from schemas.replays import ReplayEvent, ReplayKind, ReplayState, ReplayStatus, check_order, overlapping
from schemas.topics import all_topics
from streams.api_keys import Scope
from streams.replay.asking import replay_request
from streams.replay.planner import check_lifetime, look
from streams.replay.runner import overlap_error
from streams.stages import all_stages

_ORDERS = {
    "pause": ReplayKind.PAUSED,
    "resume": ReplayKind.RESUMED,
    "cancel": ReplayKind.CANCELLED,
    "promote": ReplayKind.PROMOTING,
    "discard": ReplayKind.DISCARDED,
}
_MOST_BYTES = 64 * 1024
_EXAMPLES = 20
_MOST_EXAMPLES = 1_000
_PATIENCE_S = 25.0


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    app.add_api_route("/v1/replays", start, methods=["POST"], status_code=202, **REPLAY_START_DOC)
    app.add_api_route("/v1/replays", list_replays, methods=["GET"], **REPLAYS_DOC)
    app.add_api_route("/v1/replays/{replay_id}", show, methods=["GET"], **REPLAY_DOC)
    app.add_api_route("/v1/replays/{replay_id}/diff", diff, methods=["GET"], **REPLAY_DIFF_DOC)
    app.add_api_route("/v1/replays/{replay_id}/{order}", give_order, methods=["POST"], **REPLAY_ORDER_DOC)


async def start(request: Request) -> Response:
    """Start a replay; what can be known to be wrong beforehand is said at once."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.ADMIN)
    now_ms = int(time.time() * 1000)
    asked = replay_request(await _body(request), dependencies.modules, all_stages(), now_ms)
    bootstrap = dependencies.settings.kafka_bootstrap
    kept = min(t.retention for t in all_topics(all_stages()) if t.name in asked.topics and t.retention is not None)
    job_ttl = timedelta(seconds=dependencies.settings.job_ttl_seconds)
    check_lifetime(asked, dependencies.services.get(asked.service), job_ttl, now_ms)
    await look(bootstrap, asked, kept, now_ms)
    await _fresh(dependencies)
    other = overlapping(asked, dependencies.replays.all())
    if other is not None:
        error = overlap_error(other)
        raise Problem(409, error.code, error.message, error.remedy)
    replay_id = new_job_id(now_ms)
    event = ReplayEvent(
        event_id=event_id(replay_id, ReplayKind.STARTED),
        replay_id=replay_id,
        kind=ReplayKind.STARTED,
        at_ms=now_ms,
        by=caller.key_id,
        service=caller.service,
        request=asked,
    )
    await dependencies.replays.put(event)
    return json_response(_document(_state(dependencies, replay_id)), 202, {"Location": f"/v1/replays/{replay_id}"})


async def list_replays(request: Request) -> Response:
    """List replays, newest first."""
    dependencies = dependencies_of(request)
    dependencies.authenticator.caller(request, Scope.ADMIN)
    await _fresh(dependencies)
    return json_response({"replays": [_document(state) for state in reversed(dependencies.replays.all())]})


async def show(request: Request) -> Response:
    """Show where a replay stands."""
    dependencies = dependencies_of(request)
    dependencies.authenticator.caller(request, Scope.ADMIN)
    await _fresh(dependencies)
    return json_response(_document(_state(dependencies, request.path_params["replay_id"])))


async def give_order(request: Request) -> Response:
    """Pause, resume, cancel, promote or discard; what was done already changes nothing."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.ADMIN)
    order = _ORDERS.get(request.path_params["order"])
    if order is None:
        raise Problem(404, "no_such_path", "there is nothing at this path", f"orders are {', '.join(_ORDERS)}")
    await _fresh(dependencies)
    state = _state(dependencies, request.path_params["replay_id"])
    try:
        changes = check_order(state, order)
    except InvalidInput as e:
        raise Problem(409, e.code, e.message, e.remedy) from e
    if changes:
        event = ReplayEvent(
            event_id=event_id(state.replay_id, order, int(time.time() * 1000)),
            replay_id=state.replay_id,
            kind=order,
            at_ms=int(time.time() * 1000),
            by=caller.key_id,
        )
        await dependencies.replays.put(event)
    return json_response(_document(_state(dependencies, state.replay_id)), 202 if changes else 200)


async def diff(request: Request) -> Response:
    """Compare the replay's results with the originals', field by field."""
    dependencies = dependencies_of(request)
    dependencies.authenticator.caller(request, Scope.ADMIN)
    form = one_of(request, "format", ("json", "html")) or "json"
    language = one_of(request, "lang", LANGUAGES) or LANGUAGES[0]
    examples = min(integer(request, "examples", _EXAMPLES, least=0), _MOST_EXAMPLES)
    await _fresh(dependencies)
    state = _state(dependencies, request.path_params["replay_id"])
    if state.status == ReplayStatus.PLANNING:
        raise Problem(409, "replay_state", f"the replay {state.replay_id} is planning", "ask again when it runs")
    document = await dependencies.comparisons.of(state, examples, _PATIENCE_S)
    if document is None:
        raise unavailable("comparing", "the results are being compared", "ask again: the work goes on", retry_after_s=5)
    if form == "json":
        return json_response(document)
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
    return HTMLResponse(diff_page(document, language), headers=policy)


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MOST_BYTES:
            raise Problem(413, "too_large", f"the body has more than {_MOST_BYTES} bytes", "send the fields only")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as e:
        raise Problem(422, "invalid_json", "the body is no JSON", 'such as {"from": "ocr.done"}') from e
    if not isinstance(body, dict):
        raise Problem(422, "invalid_json", "the body is no JSON object", 'such as {"from": "ocr.done"}')
    return body


async def _fresh(dependencies: Dependencies) -> None:
    if not await dependencies.replays.refresh():
        raise unavailable("replays_unavailable", "the topic `replays` cannot be read now", retry_after_s=2)


def _state(dependencies: Dependencies, replay_id: str) -> ReplayState:
    state = dependencies.replays.get(replay_id) if is_job_id(replay_id) else None
    if state is None:
        raise Problem(404, "replay_not_found", "there is no such replay", "GET /v1/replays lists them")
    return state


def _document(state: ReplayState) -> dict[str, Any]:
    asked, plan, progress = state.request, state.plan, state.progress
    return {
        "id": state.replay_id,
        "state": state.status,
        "promoting": state.promoting,
        "planned": plan.planned if plan else None,
        "started": progress.started,
        "done": progress.done,
        "failed": progress.failed,
        "promoted": progress.promoted,
        "records_read": plan.records if plan else None,
        "plan_seconds": plan.seconds if plan else None,
        "skipped": plan.skipped if plan else {},
        "error": {"code": state.error.code, "message": state.error.message, "remedy": state.error.remedy}
        if state.error
        else None,
        "request": {
            "from": asked.source,
            "topics": asked.topics,
            "stage": asked.stage or None,
            "since": iso_time(asked.since_ms),
            "until": iso_time(asked.until_ms),
            "service": asked.service or None,
            "status": asked.status or None,
            "module": f"{asked.module}@{asked.module_version}" if asked.module_version else asked.module or None,
            "model": asked.model or None,
            "limit": asked.limit or None,
            "rate": asked.rate or None,
            "dry_run": asked.dry_run,
        },
        "created_at": iso_time(state.started_at_ms),
        "updated_at": iso_time(state.updated_at_ms),
    }
