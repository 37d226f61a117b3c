"""A caller's JSON Schema is held to the meta-schema's rules, in one short walk."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.json_schemas import LARGEST_BYTES, check_schema
from processors.llm.protocols.values import Dialect, Json, Task
from schemas.errors import InvalidInput

_KEYWORDS = [
    "type",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "prefixItems",
    "not",
    "if",
    "$defs",
    "definitions",
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
    "minimum",
    "multipleOf",
    "maxLength",
    "minItems",
    "uniqueItems",
    "pattern",
    "format",
    "description",
    "$ref",
    "default",
    "examples",
    "propertyNames",
    "unknownToAll",
]
_VALUES: list[Any] = [
    *(None, True, 0, 1, -1, 2.0, 0.5, "", "string", "object", "(", "[a-z]+", [], {}),
    *(["a"], ["a", "a"], ["string", "null"], ["string", "string"], [1], [{}], [True, {"type": 1}], ["a", 1]),
    *({"a": {}}, {"a": True}, {"a": 1}, {"a": ["b"]}, {"a": ["b", "b"]}, {"(": {}}, {"a": {"type": "x"}}),
]


def _object_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(["a", "b", "("]), inner, max_size=2)
    values = st.sampled_from(_VALUES)
    return st.dictionaries(st.sampled_from(_KEYWORDS), inner | named | st.lists(inner, max_size=2) | values, max_size=3)


_SCHEMAS = st.recursive(st.booleans() | st.just({}), _object_of, max_leaves=6)


def _refused_by_the_meta_schema(schema: Any) -> bool:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return True
    return False


def _refused(schema: Json) -> bool:
    try:
        check_schema(schema, "format")
    except InvalidInput:
        return True
    return False


@pytest.mark.parametrize("keyword", _KEYWORDS)
def test_each_keyword_takes_what_the_meta_schema_lets_it(keyword: str) -> None:
    schemas: list[Json] = [{"items": {keyword: value}} for value in _VALUES]
    assert [_refused(s) for s in schemas] == [_refused_by_the_meta_schema(s) for s in schemas]


@settings(deadline=None)
@given(_object_of(_SCHEMAS))
def test_schemas_within_schemas_are_as_the_meta_schema_has_them(schema: Json) -> None:
    assert _refused(schema) == _refused_by_the_meta_schema(schema)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "nonsense"}, "format.type is no JSON Schema: it is none of array"),
        ({"properties": {"a": {"items": [{}]}}}, "format.properties.a.items is no JSON Schema"),
        ({"anyOf": [{}, {"minLength": -1}]}, "format.anyOf.1.minLength is no JSON Schema"),
        ({"properties": {"a": {"pattern": "("}}}, "a.pattern is no JSON Schema: it is no regular expression"),
    ],
)
def test_the_place_is_told(schema: Json, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        check_schema(schema, "format")


@pytest.mark.parametrize(
    "schema",
    [
        {"description": "x" * LARGEST_BYTES},
        {"allOf": [{"pattern": "(a|b)" * 400}] * 6},
        {"properties": {str(i): {"type": "string", "title": "x" * 1000} for i in range(300)}},
    ],
)
def test_a_schema_has_its_bounds(schema: Json) -> None:
    body = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(InvalidInput, match="more than") as refused:
        checked_call(Dialect.OPENAI, Task.CHAT, {**body, "response_format": form})
    assert refused.value.code == "invalid_schema"
    with pytest.raises(InvalidInput, match="more than"):
        checked_call(Dialect.OLLAMA, Task.CHAT, {**body, "format": schema})


def test_a_schema_is_walked_however_deep_it_is() -> None:
    schema: Json = {}
    for _ in range(240):
        schema = {"not": schema}
    check_schema(schema, "format")
    assert _refused({"not": {"not": {"type": "nonsense"}}})


def test_the_largest_answer_that_callers_describe_is_taken() -> None:
    """Five thousand properties, which is what OpenAI takes."""
    check_schema({"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(5000)}}, "format")
