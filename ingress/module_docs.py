"""Each module as a path of its own in the OpenAPI document: options, inputs, result, and a line to paste. Pure."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import orjson

from ingress.chat.documents import ADDRESS
from ingress.examples import AUTH, SHA256, TEXT, submitted
from ingress.model_body import fields_of, takes_conversation
from ingress.schema_places import placed, pointer
from schemas.modules import ModuleSpec

_FILES = {"document": "letter.pdf", "image": "page1.png", "audio": "meeting.mp3"}
"""What an example sends to a module, the first that it takes."""

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
            place = pointer("components", "schemas", result)
            document["components"]["schemas"][result] = placed(spec.result_schema, place)
        document["paths"][f"/v1/{spec.name}"] = {"post": _operation(submit, spec, result if spec.result_schema else "")}


def _operation(submit: Mapping[str, Any], spec: ModuleSpec, result: str) -> dict[str, Any]:
    properties = _options(spec)
    said = (
        f"{spec.description.en} {spec.description.ko} Takes {', '.join(sorted(spec.inputs))}; version {spec.version}."
    )
    if properties:
        said += f" Options: {'; '.join(_told(name, schema) for name, schema in properties.items())}."
    if result:
        said += f" The job's `result` is as `#/components/schemas/{result}` says."
    body: dict[str, Any] = {"application/json": _json_body(spec, properties)}
    if takes_conversation(spec):
        said += " Exactly one of `messages`, `prompt`, `text` and `input` is needed; options may stand beside it."
    files = spec.inputs - {"text"}
    if files or "text" in spec.inputs:
        body["multipart/form-data"] = _form(spec, properties)
    responses = deepcopy(submit["responses"])
    responses["202"]["content"]["application/json"]["example"] = submitted(spec.name)
    operation: dict[str, Any] = {
        "summary": f"{spec.title.en} · {spec.title.ko}",
        "description": said,
        "tags": ["modules"],
        "operationId": f"submit_{spec.name}",
        "parameters": [p for p in submit["parameters"] if p["in"] == "header"],
        "requestBody": {"required": True, "content": body},
        "responses": responses,
        "x-codeSamples": [{"lang": "Shell", "source": _shell(spec)}],
    }
    if result:
        operation["x-result"] = {"$ref": pointer("components", "schemas", result)}
    return operation


def _options(spec: ModuleSpec) -> dict[str, Any]:
    """Return the schema of each option; the form's fields refer to what stands in the JSON body."""
    body = ("paths", f"/v1/{spec.name}", "post", "requestBody", "content", "application/json", "schema")
    properties: Mapping[str, Any] = spec.options.get("properties", {})
    return {
        name: placed(schema, pointer(*body, "properties", "options", "properties", name))
        for name, schema in properties.items()
    }


def _json_body(spec: ModuleSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "input": {"type": "object", "properties": {"blob": {"type": "string"}}},
        "options": {**spec.options, "properties": options} if options else dict(spec.options),
    }
    examples: dict[str, Any] = {"upload": {"value": {"input": {"blob": SHA256}}}}
    if "text" in spec.inputs:
        properties["text"] = {"type": "string", "minLength": 1}
        examples = {"text": {"value": {"text": TEXT}}}
    if takes_conversation(spec):
        examples = {"messages": {"value": _ASKED}}
    known = {**options, **_CONVERSATION}
    properties |= {name: known[name] for name in fields_of(spec)}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"schema": schema, "examples": examples}


def _form(spec: ModuleSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    file = {"type": "array", "items": {"type": "string", "format": "binary"}}
    schema = {"type": "object", "required": ["file"], "properties": {**options, "file": file}}
    return {"schema": schema, "examples": {"file": {"value": {"file": [_file(spec) or "notes.txt"]}}}}


def _shell(spec: ModuleSpec) -> str:
    where = f'"{ADDRESS}/v1/{spec.name}"'
    file = _file(spec)
    if file:
        return f"curl -s {AUTH} -F file=@{file} {where}"
    body = orjson.dumps(_ASKED if takes_conversation(spec) else {"text": TEXT}).decode()
    return f"curl -s {AUTH} -H 'Content-Type: application/json' -d '{body}' {where}"


def _file(spec: ModuleSpec) -> str:
    """Return the file that the example sends; empty for a module that takes text alone."""
    return next((name for kind, name in _FILES.items() if kind in spec.inputs), "")


def _told(name: str, schema: Mapping[str, Any]) -> str:
    said = f"`{name}` ({schema.get('type', 'any')}"
    if "default" in schema:
        said += f", {schema['default']} if left out"
    return f"{said}) {schema.get('description', '')}".rstrip(". ")
