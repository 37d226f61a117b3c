"""Reads `modules/*.yml`, with errors that point to file, line and key."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from schemas.errors import InvalidInput
from schemas.events import Step
from schemas.modules import ModuleSpec, Title, encode_spec
from schemas.prompt_template import MOST_CHARACTERS
from streams.module_prompts import LIMIT_KEYS, LLM, PROMPT_KEYS, TEXT_RESULT, prompt_config
from streams.module_schemas import check_schema, validator_of
from streams.module_yaml import MOST_BYTES, Source, parse_module_file
from streams.stages import all_stages, find_stage

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
        "purges",
        "replays",
        "services",
        "usage",
    ]
)
"""First parts of the gateway's own paths under /v1; no module may be called so."""

INPUT_KINDS = ("text", "document", "image", "audio")

_TEXTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["ko", "en"],
    "properties": {"ko": {"type": "string", "minLength": 1}, "en": {"type": "string", "minLength": 1}},
}
_STEP_NAME = {"type": "string", "pattern": r"^[a-z][a-z0-9.-]{0,39}$"}
_STAGES: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "anyOf": [
            _STEP_NAME,
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["kind"],
                "properties": {
                    "name": _STEP_NAME,
                    "kind": _STEP_NAME,
                    "config": {"type": "object"},
                    "config_files": {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
                    "limits": {"type": "object", "additionalProperties": False, "properties": LIMIT_KEYS},
                    **PROMPT_KEYS,
                },
            },
        ]
    },
}
_FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "version", "title", "description", "inputs", "stages"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,39}$"},
        "version": {"type": "string", "pattern": "^[0-9A-Za-z.-]{1,20}$"},
        "title": _TEXTS,
        "description": _TEXTS,
        "inputs": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(INPUT_KINDS)}},
        "stages": _STAGES,
        "options": {"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,39}$"}},
        "result_schema": {"type": "object"},
        "result_schema_file": {"type": "string", "minLength": 1},
        "max_input_bytes": {"type": "integer", "minimum": 1},
        "limits": {"type": "object", "additionalProperties": False, "properties": LIMIT_KEYS},
        **PROMPT_KEYS,
    },
}
_FILE_VALIDATOR = Draft202012Validator(_FILE_SCHEMA)


_READS: dict[str, frozenset[str]] = {
    "ocr": frozenset({"text", "document", "image"}),
    "stt": frozenset({"audio"}),
    "llm": frozenset({"text"}),
    "noop": frozenset({"text"}),
}
"""What the gateway's own stages can begin with; of other stages nothing is known."""

IsStage = Callable[[str], bool]


def read_module_file(file: Path, is_stage: IsStage | None = None) -> ModuleSpec:
    """Read one module; `is_stage` tells which stage kinds there are (left out: those that are installed).

    Raises InvalidInput (`invalid_module`) that names file, line and key.
    """
    source, body = parse_module_file(file)
    error = best_match(_FILE_VALIDATOR.iter_errors(body))
    if error is not None:
        raise _told(source, error)
    return _spec(source, body, is_stage or _is_installed)


def module_problems(file: Path) -> Iterator[InvalidInput]:
    """Yield everything that is wrong with a file, as far as one can tell at once; nothing when it can be used."""
    try:
        source, body = parse_module_file(file)
        errors = sorted(_FILE_VALIDATOR.iter_errors(body), key=lambda error: [str(key) for key in error.absolute_path])
        yield from (_told(source, best_match([error]) or error) for error in errors)
        if not errors:
            _spec(source, body, _is_installed)
    except InvalidInput as e:
        yield e


def named_models(file: Path) -> list[tuple[str, Callable[[str, str], InvalidInput]]]:
    """Return the models that a file names, each with what makes an error of a problem and a remedy at its line.

    Raises InvalidInput when the file cannot be used.
    """
    source, body = parse_module_file(file)
    stages = [(["stages", i], stage) for i, stage in enumerate(body.get("stages", [])) if isinstance(stage, dict)]
    found: list[tuple[str, Callable[[str, str], InvalidInput]]] = []
    for place, entry in [([], body), *stages]:
        model = cast(dict[str, Any], entry).get("model")
        name = cast(dict[str, Any], model).get("name") if isinstance(model, dict) else model
        if name:
            found.append(
                (str(name), partial(source.error, [*place, "model", *(["name"] if name is not model else [])]))
            )
    return found


def named_files(file: Path) -> list[Path]:
    """Return the files that a module's file takes a schema or texts from, whether they are there or not."""
    try:
        _, body = parse_module_file(file)
    except InvalidInput:
        return []  # it is read again when it changes
    stages: list[Any] = body["stages"] if isinstance(body.get("stages"), list) else []
    texts: list[Any] = [
        stage["config_files"] for stage in stages if isinstance(stage, dict) and "config_files" in stage
    ]
    names: list[Any] = [
        name for given in texts if isinstance(given, dict) for name in cast(dict[str, Any], given).values()
    ]
    return [file.parent / name for name in [body.get("result_schema_file"), *names] if isinstance(name, str)]


def twice_defined(file: Path, name: str) -> InvalidInput:
    """Return the error for a file whose module another file defines already; it points to the name's line."""
    try:
        source, _ = parse_module_file(file)
    except InvalidInput as e:  # changed since it was read
        return e
    return source.error(
        ["name"], f"another file defines the module {name!r} already", "give one of them another name, or remove it"
    )


def _is_installed(kind: str) -> bool:
    return find_stage(kind) is not None


def _spec(source: Source, body: dict[str, Any], is_stage: IsStage) -> ModuleSpec:
    try:
        spec = _made(source, body, is_stage)
        encode_spec(spec)  # as it will travel: what stands in a schema's file may be deeper than the writer takes
    except orjson.JSONEncodeError as e:
        raise source.error([], f"it cannot be written as JSON: {e}") from e
    return spec


def _made(source: Source, body: dict[str, Any], is_stage: IsStage) -> ModuleSpec:
    if body["name"] in RESERVED_NAMES:
        raise source.error(["name"], f"{body['name']!r} is a path of the gateway itself", "choose another name")
    options = _options(source, body.get("options", {}))
    schema = _result_schema(source, body)
    steps = _steps(source, body, options["properties"], schema, is_stage)
    _check_inputs(source, body, steps)
    prompted = steps[-1].kind == LLM and steps[-1].config
    return ModuleSpec(
        name=body["name"],
        version=body["version"],
        title=Title(**body["title"]),
        description=Title(**body["description"]),
        inputs=frozenset(body["inputs"]),
        steps=steps,
        options=options,
        result_schema=schema or (TEXT_RESULT if prompted else {}),
        max_input_bytes=body.get("limits", {}).get("input_bytes", body.get("max_input_bytes")),
    )


def _place(error: ValidationError) -> list[str | int]:
    path = list(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        path.extend([key for key in error.instance if key not in known][:1])
    return path


def _told(source: Source, error: ValidationError) -> InvalidInput:
    place = _place(error)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        return source.error(place, f"unknown key; known are {', '.join(sorted(known))}")
    remedy = 'write it in quotes, such as version: "1"' if place == ["version"] else ""
    if error.validator == "required" and not place and "stages" not in cast(dict[str, Any], error.instance):
        remedy = "name its stages, such as stages: [ocr, llm]"
    return source.error(place, error.message[:300], remedy)


def _steps(
    source: Source,
    body: dict[str, Any],
    options: Mapping[str, Any],
    schema: Mapping[str, Any],
    is_stage: IsStage,
) -> tuple[Step, ...]:
    given: list[Any] = body["stages"]
    entries: list[dict[str, Any]] = [{"kind": e} if isinstance(e, str) else cast(dict[str, Any], e) for e in given]
    own = [i for i, entry in enumerate(entries) if entry["kind"] == LLM and "prompt" not in entry]
    steps: list[Step] = []
    for i, entry in enumerate(entries):
        place: list[str | int] = ["stages", i]
        if not is_stage(entry["kind"]):
            raise source.error(
                place, f"no stage is called {entry['kind']!r}", f"choose from {', '.join(sorted(all_stages()))}"
            )
        config: dict[str, Any] = {**entry.get("config", {}), **_config_files(source, place, entry)}
        last = schema if i == len(entries) - 1 else {}
        if "prompt" in entry:
            if entry["kind"] != LLM:
                raise source.error([*place, "prompt"], f"the stage {entry['kind']} takes no prompt")
            config |= prompt_config(source, place, entry, options, last)
        elif "prompt" in body and own == [i]:
            config |= prompt_config(source, [], body, options, last)
        else:
            _refuse_without_prompt(source, place, entry)
        step = Step(
            name=entry.get("name", entry["kind"]),
            kind=entry["kind"],
            config=orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode() if config else "",
        )
        if any(step.name == other.name for other in steps):
            raise source.error(place, f"a step is called {step.name!r} already", "give one of them a `name`")
        steps.append(step)
    if "prompt" in body and len(own) != 1:
        which = "none of its stages is a plain `llm`" if not own else "more than one of its stages is a plain `llm`"
        raise source.error(["prompt"], which, "name the stage llm once, or write each prompt under its stage")
    if "prompt" not in body:
        _refuse_without_prompt(source, [], body)
    return tuple(steps)


def _config_files(source: Source, place: list[str | int], entry: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that a stage's config takes from files beside the module's: they travel with its jobs too."""
    texts: dict[str, str] = {}
    for name, path in entry.get("config_files", {}).items():
        at: list[str | int] = [*place, "config_files", name]
        file = _beside(source, at, path)
        try:
            text = _content(source, at, file).decode()
        except (OSError, UnicodeDecodeError) as e:
            raise source.error(at, f"{file.name} cannot be read as text: {type(e).__name__}") from e
        if len(text) > MOST_CHARACTERS:
            raise source.error(at, f"{file.name} has {len(text)} characters", f"write at most {MOST_CHARACTERS}")
        texts[name] = text
    return texts


def _beside(source: Source, at: list[str | int], path: str) -> Path:
    """Return the file of this name beside the module's; raises InvalidInput for one anywhere else."""
    folder = source.file.parent.resolve()
    try:
        file = (folder / path).resolve()
    except ValueError as e:
        raise source.error(at, "it is no file's name") from e
    if not file.is_relative_to(folder):
        raise source.error(at, "it is outside the module's folder", "put the file beside the module's own")
    return file


def _content(source: Source, at: list[str | int], file: Path) -> bytes:
    """Return what a file beside the module's holds; raises InvalidInput for one too large to travel, OSError."""
    if (size := file.stat().st_size) > MOST_BYTES:
        raise source.error(at, f"{file.name} has {size} bytes", f"write at most {MOST_BYTES}")
    if not file.is_file():
        raise source.error(at, f"{file.name} is no file")
    return file.read_bytes()


def _refuse_without_prompt(source: Source, place: list[str | int], given: Mapping[str, Any]) -> None:
    limits = [["limits", name] for name in given.get("limits", {}) if name != "input_bytes"]
    for keys in [*([name] for name in ("model", "checks", "keep_input") if name in given), *limits]:
        raise source.error([*place, *keys], "it is for a prompt, and there is none", "add a `prompt`, or take it out")


def _check_inputs(source: Source, body: dict[str, Any], steps: tuple[Step, ...]) -> None:
    reads = _READS.get(steps[0].kind)
    for i, kind in enumerate(body["inputs"]):
        if reads is not None and kind not in reads:
            before = {"audio": "stt"}.get(kind, "ocr")
            raise source.error(
                ["inputs", i],
                f"the first stage, {steps[0].kind}, reads no {kind}",
                f"begin with the stage {before}, or take {kind} out",
            )


def _options(source: Source, properties: dict[str, Any]) -> dict[str, Any]:
    for name, schema in properties.items():
        place = ["options", name]
        check_schema(source, place, schema)
        if not isinstance(schema, dict) or not isinstance(schema.get("type"), str):
            raise source.error(place, "an option needs a `type`", "add one, such as `type: string`")
        if "default" in schema:
            error = best_match(validator_of(schema).iter_errors(schema["default"]))
            if error is not None:
                raise source.error([*place, "default"], error.message)
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _result_schema(source: Source, body: dict[str, Any]) -> dict[str, Any]:
    if "result_schema_file" not in body:
        schema = body.get("result_schema", {})
        check_schema(source, ["result_schema"], schema)
        return schema
    place: list[str | int] = ["result_schema_file"]
    if "result_schema" in body:
        raise source.error(place, "there is a `result_schema` too", "keep one of the two")
    file = _beside(source, place, body["result_schema_file"])
    try:
        schema = orjson.loads(_content(source, place, file))
    except (OSError, orjson.JSONDecodeError) as e:
        raise source.error(place, f"{file.name} cannot be read as JSON: {type(e).__name__}") from e
    check_schema(source, place, schema)
    return schema
