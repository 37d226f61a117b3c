"""The OpenAPI document: the routes as FastAPI tells them, with keys, problems, modules and models added."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ingress.chat.documents import add_chat
from ingress.module_docs import add_modules
from ingress.route_docs import PROBLEM_SCHEMA
from streams.module_registry import ModuleRegistry


def complete_openapi(app: FastAPI, modules: ModuleRegistry) -> None:
    """Make the application's OpenAPI document: keys, problems, and examples of each call."""

    made_of = -1

    def openapi() -> dict[str, Any]:
        nonlocal made_of
        if app.openapi_schema is None or made_of != modules.generation:
            made_of = modules.generation
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            parts = schema.setdefault("components", {})
            parts["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            parts["schemas"] = {"Problem": PROBLEM_SCHEMA}
            schema["security"] = [{"bearer": []}, {"header": []}]
            submit = schema["paths"]["/v1/{module}"]["post"]
            submit["parameters"][0]["schema"]["enum"] = list(modules.names)
            add_modules(schema, submit, [module.spec for module in modules])
            add_chat(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] - FastAPI's own way
