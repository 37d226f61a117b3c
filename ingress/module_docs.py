"""Each module as a path of its own in the OpenAPI document: its options, its inputs and its result. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from ingress.chat.documents import ADDRESS
from ingress.model_body import fields_of, takes_conversation
from schemas.modules import ModuleSpec

_ASKED = {
    "messages": [{"role": "user", "content": "대한민국의 수도는 어디인가요?"}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "capital",
            "schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    },
}
_CONVERSATION: dict[str, Any] = {
    "prompt": {"type": "string", "minLength": 1, "description": "the text, in a model server's word for it"},
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {"type": "object", "required": ["role", "content"]},
        "description": "role and content, oldest first; the last is the user's",
    },
    "response_format": {"type": "object", "description": "json_schema, json_object or text, as OpenAI has it"},
}


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
    samples: dict[str, Any] = {}
    if takes_conversation(spec):
        said += " Exactly one of `messages`, `prompt`, `text` and `input` is needed; options may stand beside it."
        body["application/json"]["example"] = _ASKED
        samples = {"x-codeSamples": [{"lang": "Shell", "source": _shell(spec.name)}]}
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
        **samples,
    }


def _json_body(spec: ModuleSpec) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "input": {"type": "object", "properties": {"blob": {"type": "string"}}},
        "options": dict(spec.options),
    }
    if "text" in spec.inputs:
        properties["text"] = {"type": "string", "minLength": 1}
    known = {**spec.options.get("properties", {}), **_CONVERSATION}
    properties |= {name: known[name] for name in fields_of(spec)}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _shell(module: str) -> str:
    body = orjson.dumps(_ASKED).decode()
    return (
        'curl -s -H "Authorization: Bearer $GATEWAY_API_KEY" '
        f"-H 'Content-Type: application/json' -d '{body}' \"{ADDRESS}/v1/{module}\""
    )


def _form(options: Mapping[str, Any]) -> dict[str, Any]:
    file = {"type": "array", "items": {"type": "string", "format": "binary"}}
    return {"type": "object", "required": ["file"], "properties": {**options, "file": file}}


def _told(name: str, schema: Mapping[str, Any]) -> str:
    said = f"`{name}` ({schema.get('type', 'any')}"
    if "default" in schema:
        said += f", {schema['default']} if left out"
    return f"{said}) {schema.get('description', '')}".rstrip(". ")
