"""`GET /v1/modules`: what a caller can ask for."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.dependencies import dependencies_of
from ingress.responses import json_response
from ingress.route_docs import MODULES_DOC
from schemas.modules import ModuleSpec
from streams.api_keys import Scope
from streams.serving import Choice, Lack, as_document


def add_routes(app: FastAPI) -> None:
    """Add the route."""
    app.add_api_route("/v1/modules", list_modules, methods=["GET"], **MODULES_DOC)


async def list_modules(request: Request) -> Response:
    """List the modules with their inputs, options and results."""
    dependencies = dependencies_of(request)
    dependencies.authenticator.caller(request, Scope.JOBS)
    documents = [
        _document(module.spec, dependencies.lacking(module.spec), dependencies.choices(module.spec))
        for module in dependencies.modules
    ]
    return json_response({"modules": documents})


def _document(spec: ModuleSpec, lack: Lack | None, choices: Mapping[Choice, Lack | None]) -> dict[str, Any]:
    return {
        "name": spec.name,
        "version": spec.version,
        "title": asdict(spec.title),
        "description": asdict(spec.description),
        "inputs": sorted(spec.inputs),
        "stages": [step.name for step in spec.steps],
        "options": spec.options,
        "result_schema": spec.result_schema,
        **as_document(lack),
        "choices": [{**asdict(choice), **as_document(lack)} for choice, lack in choices.items()],
    }
