"""`/healthz`: the process answers. `/readyz`: it serves, with each dependency."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.dependencies import dependencies_of
from ingress.readiness import check_readiness
from ingress.responses import json_response
from ingress.route_docs import HEALTH_DOC, READY_DOC


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    app.add_api_route("/healthz", healthz, methods=["GET"], **HEALTH_DOC)
    app.add_api_route("/readyz", readyz, methods=["GET"], **READY_DOC)


async def healthz() -> Response:
    """Tell that the process is alive."""
    return json_response({"status": "alive"})


async def readyz(request: Request) -> Response:
    """Tell whether requests are served: 200 `ready` or `degraded` (jobs are taken, look-ups may wait), or 503."""
    readiness = await check_readiness(dependencies_of(request))
    headers = {} if readiness.serves else {"Retry-After": "5"}
    return json_response(readiness.document(), 200 if readiness.serves else 503, headers)
