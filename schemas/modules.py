"""A module: what a caller can ask for, as data. Written as `modules/*.yml`, kept on the topic `modules`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from schemas.errors import UndecodableRecord
from schemas.events import Step
from schemas.payloads import Payload


@dataclass(frozen=True, slots=True)
class Title:
    """A text for people, in Korean and English."""

    ko: str
    en: str


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A module's definition at one version.

    `inputs` holds some of `text document image audio`; `options` and `result_schema` are JSON
    Schemas; `steps` is the routing slip that each job of the module starts with. What a step needs
    (a prompt, say) stands in its `config`, so a job keeps the definition that it was accepted with.
    """

    name: str
    version: str
    title: Title
    description: Title
    inputs: frozenset[str]
    steps: tuple[Step, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    result_schema: Mapping[str, Any] = field(default_factory=dict[str, Any])
    max_input_bytes: int | None = None

    @property
    def key(self) -> str:
        """The record key on the topic: name@version."""
        return module_key(self.name, self.version)

    @property
    def models(self) -> tuple[str, ...]:
        """The public models that its steps name; a step that names none has the default one, or its job's."""
        configs: list[dict[str, Any]] = [orjson.loads(step.config) for step in self.steps if step.config]
        return tuple(str(config["model"]) for config in configs if "prompt" in config and config.get("model"))

    def steps_for(self, inputs: Iterable[Payload]) -> tuple[Step, ...]:
        """Return the routing slip for these inputs: plain text need not be read, and goes straight to a model."""
        if len(self.steps) > 1 and (self.steps[0].kind, self.steps[1].kind) == ("ocr", "llm"):
            texts = all(payload.media_type.partition(";")[0].strip() == "text/plain" for payload in inputs)
            return self.steps[1:] if texts else self.steps
        return self.steps


@dataclass(frozen=True, slots=True)
class ModuleRecord:
    """A module's definition on the topic `modules`; `definition` is the JSON that `encode_spec` writes.

    The last record of a name on the topic is its current version; the others stay for looking back.
    """

    name: str
    version: str
    definition: str
    added_at_ms: int


def module_key(name: str, version: str) -> str:
    """Return the record key of a module's version."""
    return f"{name}@{version}"


def encode_spec(spec: ModuleSpec) -> str:
    """Return a definition as JSON; equal definitions give equal texts."""
    body = {
        "name": spec.name,
        "version": spec.version,
        "title": spec.title,
        "description": spec.description,
        "inputs": sorted(spec.inputs),
        "stages": spec.steps,
        "options": spec.options,
        "result_schema": spec.result_schema,
        "max_input_bytes": spec.max_input_bytes,
    }
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


def decode_spec(definition: str) -> ModuleSpec:
    """Read what `encode_spec` wrote; what a newer writer added is passed over.

    Raises UndecodableRecord when it is something else.
    """
    try:
        body = cast(dict[str, Any], orjson.loads(definition))
        return ModuleSpec(
            name=str(body["name"]),
            version=str(body["version"]),
            title=_title(body["title"]),
            description=_title(body["description"]),
            inputs=frozenset(map(str, body["inputs"])),
            steps=tuple(Step(str(s["name"]), str(s["kind"]), str(s.get("config", ""))) for s in body["stages"]),
            options=dict(body["options"]),
            result_schema=dict(body["result_schema"]),
            max_input_bytes=body.get("max_input_bytes"),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as e:
        raise UndecodableRecord(f"a module's definition cannot be read: {type(e).__name__}") from e


def _title(body: Mapping[str, Any]) -> Title:
    return Title(str(body["ko"]), str(body["en"]))
