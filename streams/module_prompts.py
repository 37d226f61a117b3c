"""The keys of a module file that the stage `llm` works by: prompt, model, limits and checks."""

from collections.abc import Mapping
from typing import Any

from schemas.prompt_template import reads, template_problems
from streams.module_yaml import Keys, Source

LLM = "llm"

CHECKS = ("numbers", "lines", "links")
"""What an answer can be checked for keeping."""

_TEMPLATE = {"type": "string", "minLength": 1}
PROMPT_KEYS: dict[str, Any] = {
    "prompt": {
        "anyOf": [
            _TEMPLATE,
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["part"],
                "properties": {"text": _TEMPLATE, "system": _TEMPLATE, "part": _TEMPLATE, "combine": _TEMPLATE},
            },
        ]
    },
    "model": {
        "anyOf": [
            {"type": "string", "minLength": 1, "maxLength": 200},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 200},
                    "temperature": {"type": "number", "minimum": 0, "maximum": 100},
                    "seed": {"type": "integer"},
                },
            },
        ]
    },
    "checks": {"type": "array", "uniqueItems": True, "items": {"enum": list(CHECKS)}},
    "keep_input": {"type": "boolean"},
}
"""JSON Schemas of the keys of a file, or of one of its `llm` stages, that need a prompt."""

LIMIT_KEYS: dict[str, Any] = {
    "input_bytes": {"type": "integer", "minimum": 1},
    "parts": {"type": "integer", "minimum": 1, "maximum": 10_000},
    "answer_tokens": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
    "answer_ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 20},
}
"""JSON Schemas of what stands under `limits`; all but `input_bytes` need a prompt."""

TEXT_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["text", "model", "parts", "warnings"],
    "properties": {
        "text": {"type": "string"},
        "model": {"type": "string"},
        "parts": {"type": "integer", "description": "into how many parts the input was split to fit the model"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "input": {"description": "what the stage before gave, where the module keeps it"},
    },
}
"""What a prompted module gives when it declares no result schema of its own."""


def prompt_config(
    source: Source, keys: Keys, given: Mapping[str, Any], options: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the config of an `llm` step from the keys of a file (or of one of its stages).

    `options` are the module's by name, `schema` what the answer has to fit, None for plain text.
    Raises InvalidInput that points to the template's line.
    """
    prompt = {"part": given["prompt"]} if isinstance(given["prompt"], str) else dict(given["prompt"])
    for name, template in prompt.items():
        place = [*keys, "prompt"] if isinstance(given["prompt"], str) else [*keys, "prompt", name]
        for wrong in template_problems(template, options):
            raise source.error(place, wrong.problem, wrong.remedy, down=wrong.line)
    if given.get("checks") and not reads(prompt["part"], "text"):
        raise source.error(
            [*keys, "checks"],
            "they compare an answer with `text`, which the prompt does not use",
            "use it, or take it out",
        )
    if given.get("checks") and ("combine" in prompt or schema):
        made = "an answer that is put together by `combine`" if "combine" in prompt else "an answer in JSON"
        raise source.error(
            [*keys, "checks"],
            f"they compare an answer with the text that it gives back; {made} gives none back",
            "take them out, or give the text back whole: no `combine`, no result schema",
        )
    model = given.get("model", {})
    limits = given.get("limits", {})
    config: dict[str, Any] = {"prompt": prompt, **({"model": model} if isinstance(model, str) else model)}
    if "name" in config:
        config["model"] = config.pop("name")
    config |= {name: limits[name] for name in ("parts", "answer_tokens", "answer_ratio") if name in limits}
    config |= {name: given[name] for name in ("checks", "keep_input") if given.get(name)}
    if schema:
        config["schema"] = dict(schema)
    return config
