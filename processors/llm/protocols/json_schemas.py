"""Checks a caller's JSON Schema (draft 2020-12) in one walk. Pure, and quick enough for an event loop.

Validating against the meta-schema takes half a millisecond for each schema inside, all of it on the loop that other
callers wait for. The rules here are the meta-schema's; `tests/unit/llm/test_json_schemas.py` holds them to it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import orjson

from processors.llm.protocols.values import Json
from schemas.errors import InvalidInput

LARGEST_BYTES = 256 * 1024
"""A schema may have as much; OpenAI's own bound on names and values is below that."""

_MOST_PATTERN = 10_000  # characters of all patterns: compiling them takes 5 µs for each
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_A_SCHEMA = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_SCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED_SCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})


def check_schema(schema: Json, at: str) -> None:
    """Raise InvalidInput (`invalid_schema`) naming the place in a schema that is none; `at` is where it stands."""
    size = len(orjson.dumps(schema))
    if size > LARGEST_BYTES:
        raise InvalidInput(
            f"{at} has {size} bytes, more than {LARGEST_BYTES}",
            code="invalid_schema",
            remedy="send a smaller JSON Schema",
        )
    left = _MOST_PATTERN
    waiting: list[tuple[Any, str]] = [(schema, at)]
    while waiting:
        found, place = waiting.pop()
        if isinstance(found, bool):
            continue
        if not isinstance(found, dict):
            raise _wrong(place, "is neither an object nor true or false")
        for name, value in cast(Json, found).items():
            if name in _VALUES:
                problem = _VALUES[name](value)
                if problem:
                    raise _wrong(f"{place}.{name}", problem)
                if name == "pattern":
                    left -= len(value)
            elif name in _A_SCHEMA:
                waiting.append((value, f"{place}.{name}"))
            elif name in _SCHEMAS or name in _NAMED_SCHEMAS:
                waiting.extend(_inside(name, value, f"{place}.{name}"))
                if name == "patternProperties":
                    left -= sum(map(len, value))
        if left < 0:
            raise _wrong(at, f"has patterns of more than {_MOST_PATTERN} characters")


def _inside(name: str, value: Any, at: str) -> Iterator[tuple[Any, str]]:
    if name in _SCHEMAS:
        if not isinstance(value, list) or not value:
            raise _wrong(at, "is no list of schemas")
        for i, inner in enumerate(cast(list[Any], value)):
            yield inner, f"{at}.{i}"
        return
    if not isinstance(value, dict):
        raise _wrong(at, "is no object that names schemas")
    for key, inner in cast(Json, value).items():
        if name == "patternProperties" and (problem := _pattern(key)):
            raise _wrong(at, problem)
        yield inner, f"{at}.{key[:80]}"


def _wrong(at: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f"{at} is no JSON Schema: it {problem}",
        code="invalid_schema",
        remedy="send a valid JSON Schema (draft 2020-12)",
    )


def _type(value: Any) -> str:
    names: list[Any] = cast(list[Any], value) if isinstance(value, list) else [value]
    known = all(isinstance(name, str) and name in _TYPES for name in names)
    return "" if names and known and len(set(names)) == len(names) else f"is none of {', '.join(sorted(_TYPES))}"


def _pattern(value: Any) -> str:
    if not isinstance(value, str):
        return "is no text"
    if len(value) > _MOST_PATTERN:
        return f"has more than {_MOST_PATTERN} characters"
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return "is no regular expression"
    return ""


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else "is no text"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "is neither true nor false"


def _list(value: Any) -> str:
    return "" if isinstance(value, list) else "is no list"


def _object(value: Any) -> str:
    return "" if isinstance(value, dict) else "is no object"


def _number(value: Any) -> str:
    return "" if isinstance(value, int | float) and not isinstance(value, bool) else "is no number"


def _positive(value: Any) -> str:
    return _number(value) or ("" if value > 0 else "is not above 0")


def _count(value: Any) -> str:
    if _number(value) or (isinstance(value, float) and not value.is_integer()) or value < 0:
        return "is no whole number from 0 on"
    return ""


def _names(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in cast(list[Any], value)):
        return "is no list of names"
    return "" if len(set(cast(list[str], value))) == len(cast(list[str], value)) else "has a name twice"


def _dependents(value: Any) -> str:
    return _object(value) or next((told for names in cast(Json, value).values() if (told := _names(names))), "")


_VALUES: dict[str, Callable[[Any], str]] = {
    "type": _type,
    "pattern": _pattern,
    "required": _names,
    "dependentRequired": _dependents,
    "enum": _list,
    "examples": _list,
    "multipleOf": _positive,
    **dict.fromkeys(("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"), _number),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"), _count),
    **dict.fromkeys(("maxContains", "minContains"), _count),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _flag),
    **dict.fromkeys(("title", "description", "format", "contentEncoding", "contentMediaType", "$comment"), _text),
    **dict.fromkeys(("$id", "$schema", "$ref", "$dynamicRef", "$anchor", "$dynamicAnchor"), _text),
}
