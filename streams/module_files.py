"""Reads `modules/*.yml`, with errors that point to file, line and key."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match

from schemas.errors import InvalidInput
from schemas.events import Step
from schemas.modules import ModuleSpec, Title
from schemas.topics import STAGES

RESERVED_NAMES = frozenset(
    [
        "audio",
        "blobs",
        "chat",
        "completions",
        "embeddings",
        "files",
        "jobs",
        "models",
        "modules",
        "replays",
        "services",
        "usage",
    ]
)
"""First parts of the gateway's own paths under /v1; no module may be called so."""

INPUT_KINDS = ("text", "document", "image", "audio")

Path_ = Sequence[str | int]

_TEXTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["ko", "en"],
    "properties": {"ko": {"type": "string", "minLength": 1}, "en": {"type": "string", "minLength": 1}},
}
_STEP_NAME = {"type": "string", "pattern": r"^[a-z][a-z0-9.-]{0,39}$"}
_FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "version", "title", "description", "inputs", "steps"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,39}$"},
        "version": {"type": "string", "pattern": "^[0-9A-Za-z.-]{1,20}$"},
        "title": _TEXTS,
        "description": _TEXTS,
        "inputs": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(INPUT_KINDS)}},
        "steps": {
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    _STEP_NAME,
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["kind"],
                        "properties": {"name": _STEP_NAME, "kind": _STEP_NAME, "config": {"type": "object"}},
                    },
                ]
            },
        },
        "options": {"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,39}$"}},
        "result_schema": {"type": "object"},
        "result_schema_file": {"type": "string", "minLength": 1},
        "max_input_bytes": {"type": "integer", "minimum": 1},
    },
}
_FILE_VALIDATOR = Draft202012Validator(_FILE_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Source:
    """A file's syntax tree, kept to turn a place in the content into a line."""

    file: Path
    root: yaml.Node

    def error(self, path: Path_, problem: str, remedy: str = "") -> InvalidInput:
        key = ".".join(str(part) for part in path) or "(the whole file)"
        return InvalidInput(
            f"{self.file.name}:{self._line(path)}: {key}: {problem}", code="invalid_module", remedy=remedy
        )

    def _line(self, path: Path_) -> int:
        node = self.root
        mark = node.start_mark
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == part), None)
                if found is None:
                    break
                mark, node = found[0].start_mark, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.start_mark
        return mark.line + 1


def read_module_file(file: Path) -> ModuleSpec:
    """Read one module.

    Raises InvalidInput (`invalid_module`) that names file, line and key.
    """
    source, body = _parse(file)
    error = best_match(_FILE_VALIDATOR.iter_errors(body))
    if error is not None:
        raise source.error(_place(error), _told(error))
    if body["name"] in RESERVED_NAMES:
        raise source.error(["name"], f"{body['name']!r} is a path of the gateway itself", "choose another name")
    return ModuleSpec(
        name=body["name"],
        version=body["version"],
        title=Title(**body["title"]),
        description=Title(**body["description"]),
        inputs=frozenset(body["inputs"]),
        steps=_steps(source, body["steps"]),
        options=_options(source, body.get("options", {})),
        result_schema=_result_schema(source, body),
        max_input_bytes=body.get("max_input_bytes"),
    )


def _parse(file: Path) -> tuple[_Source, dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        body = yaml.safe_load(text)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(e, "problem", None) or "it cannot be parsed"
        raise InvalidInput(f"{file.name}{line}: no YAML: {problem}", code="invalid_module") from e
    except (OSError, UnicodeDecodeError) as e:
        raise InvalidInput(f"{file.name}: cannot be read: {type(e).__name__}", code="invalid_module") from e
    if root is None or not isinstance(body, dict):
        raise InvalidInput(f"{file.name}:1: a module is a mapping of keys", code="invalid_module")
    return _Source(file, root), cast(dict[str, Any], body)


def _place(error: ValidationError) -> list[str | int]:
    path = list(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        path.extend([key for key in error.instance if key not in known][:1])
    return path


def _told(error: ValidationError) -> str:
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        return f"unknown key; known are {', '.join(sorted(known))}"
    return error.message


def _steps(source: _Source, entries: list[Any]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for i, entry in enumerate(entries):
        given: dict[str, Any] = {"kind": entry} if isinstance(entry, str) else entry
        step = Step(
            name=given.get("name", given["kind"]),
            kind=given["kind"],
            config=orjson.dumps(given["config"], option=orjson.OPT_SORT_KEYS).decode() if given.get("config") else "",
        )
        if step.kind not in STAGES:
            raise source.error(["steps", i], f"no stage is called {step.kind!r}", f"choose from {', '.join(STAGES)}")
        if any(step.name == other.name for other in steps):
            raise source.error(["steps", i], f"a step is called {step.name!r} already", "give one of them a `name`")
        steps.append(step)
    return tuple(steps)


def _options(source: _Source, properties: dict[str, Any]) -> dict[str, Any]:
    for name, schema in properties.items():
        place = ["options", name]
        _check_schema(source, place, schema)
        if not isinstance(schema, dict) or not isinstance(schema.get("type"), str):
            raise source.error(place, "an option needs a `type`", "add one, such as `type: string`")
        if "default" in schema:
            error = best_match(Draft202012Validator(schema).iter_errors(schema["default"]))
            if error is not None:
                raise source.error([*place, "default"], error.message)
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _result_schema(source: _Source, body: dict[str, Any]) -> dict[str, Any]:
    if "result_schema_file" not in body:
        schema = body.get("result_schema", {})
        _check_schema(source, ["result_schema"], schema)
        return schema
    place = ["result_schema_file"]
    if "result_schema" in body:
        raise source.error(place, "there is a `result_schema` too", "keep one of the two")
    file = source.file.parent / body["result_schema_file"]
    try:
        schema = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as e:
        raise source.error(place, f"{file.name} cannot be read as JSON: {type(e).__name__}") from e
    _check_schema(source, place, schema)
    return schema


def _check_schema(source: _Source, place: Path_, schema: Any) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as e:
        raise source.error([*place, *e.absolute_path], f"no JSON Schema: {e.message}") from e
