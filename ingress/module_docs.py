"""Each module as a path of its own in the OpenAPI document: its options, its inputs and its result. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.modules import ModuleSpec


def add_modules(document: dict[str, Any], submit: Mapping[str, Any], modules: Iterable[ModuleSpec]) -> None:
    """Add `POST /v1/<module>` for each module; `submit` is the operation that all of them share."""
    for spec in modules:
        result = f"{spec.name}-result"
        if spec.result_schema:
            document["components"]["schemas"][result] = dict(spec.result_schema)
        document["paths"][f"/v1/{spec.name}"] = {"post": _operation(submit, spec, result if spec.result_schema else "")}


def _operation(submit: Mapping[str, Any], spec: ModuleSpec, result: str) -> dict[str, Any]:
    properties: Mapping[str, Any] = spec.options.get("properties", {})
    said = (
        f"{spec.description.en} {spec.description.ko} Takes {', '.join(sorted(spec.inputs))}; version {spec.version}."
    )
    if properties:
        said += f" Options: {'; '.join(_told(name, schema) for name, schema in properties.items())}."
    if result:
        said += f" The job's `result` is as `#/components/schemas/{result}` says."
    body: dict[str, Any] = {"application/json": {"schema": _json_body(spec)}}
    files = spec.inputs - {"text"}
    if files or "text" in spec.inputs:
        body["multipart/form-data"] = {"schema": _form(properties)}
    return {
        "summary": f"{spec.title.en} · {spec.title.ko}",
        "description": said,
        "tags": ["modules"],
        "operationId": f"submit_{spec.name}",
        "parameters": [p for p in submit["parameters"] if p["in"] == "header"],
        "requestBody": {"required": True, "content": body},
        "responses": submit["responses"],
    }


def _json_body(spec: ModuleSpec) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "input": {"type": "object", "properties": {"blob": {"type": "string"}}},
        "options": dict(spec.options),
    }
    if "text" in spec.inputs:
        properties["text"] = {"type": "string", "minLength": 1}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _form(options: Mapping[str, Any]) -> dict[str, Any]:
    file = {"type": "array", "items": {"type": "string", "format": "binary"}}
    return {"type": "object", "required": ["file"], "properties": {**options, "file": file}}


def _told(name: str, schema: Mapping[str, Any]) -> str:
    said = f"`{name}` ({schema.get('type', 'any')}"
    if "default" in schema:
        said += f", {schema['default']} if left out"
    return f"{said}) {schema.get('description', '')}".rstrip(". ")
