"""The OpenAPI document by its parts: references lead somewhere, and examples are what the calls take and give."""

from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ingress.chat.documents import ADDRESS
from ingress.docs_page import _call
from ingress.examples import USED
from ingress.module_docs import add_modules
from ingress.route_docs import BLOB_DOC, SUBMIT_DOC, USAGE_DOC
from ingress.routes.usage import _document as _usage_document
from ingress.schema_places import placed, pointer
from schemas.modules import ModuleSpec, Title
from schemas.usage_query import usage_query
from schemas.usage_report import Report, ReportRow
from schemas.usage_rows import ZERO
from streams.metering.reader import UsageFound
from streams.modules import load_modules

NODE = {"type": "object", "properties": {"says": {"$ref": "#/$defs/said"}, "inner": {"$ref": "#"}}}
DOCUMENT = "https://gateway.example/openapi.json"
JSON, FORM = "application/json", "multipart/form-data"
SCHEMA = {**NODE, "$defs": {"said": {"type": "string"}}}


def _document(*specs: ModuleSpec) -> dict[str, Any]:
    document: dict[str, Any] = {"paths": {}, "components": {"schemas": {}}}
    responses = {str(status): answer for status, answer in SUBMIT_DOC["responses"].items()}
    add_modules(document, {**SUBMIT_DOC["openapi_extra"], "responses": responses}, specs)
    return document


def _spec(**more: Any) -> ModuleSpec:
    return ModuleSpec("tree", "1", Title("나무", "Tree"), Title("", ""), frozenset({"text"}), (), **more)


def _check(document: dict[str, Any], place: str, value: object) -> None:
    """Check against the schema at `place`, as a part of the document: so do readers of OpenAPI."""
    registry = Registry().with_resource(DOCUMENT, DRAFT202012.create_resource(document))
    Draft202012Validator({"$ref": DOCUMENT + place}, registry=registry).validate(value)


def _body(name: str, kind: str) -> str:
    return pointer("paths", f"/v1/{name}", "post", "requestBody", "content", kind, "schema")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == "$ref" and isinstance(inner, str))
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


@pytest.mark.parametrize("own", ["", "https://tree.example/tree.json"])
def test_a_results_own_definitions_are_found_in_the_document(own: str) -> None:
    schema = deepcopy(SCHEMA) | ({"$id": own} if own else {})
    schema["properties"]["whole"] = {"$ref": f"{own}#/$defs/said"}
    document = _document(_spec(result_schema=schema))
    result = document["paths"]["/v1/tree"]["post"]["x-result"]["$ref"]
    _check(document, result, {"says": "예", "inner": {"inner": {"says": "아니요"}}})
    for wrong in ({"says": 1}, {"inner": {"inner": {"says": 1}}}, {"whole": 1}):
        with pytest.raises(ValidationError):
            _check(document, result, wrong)


def test_an_options_own_definitions_are_found_too() -> None:
    option = {"type": "array", "items": {"$ref": "#/$defs/said"}, "$defs": {"said": {"type": "string"}}}
    document = _document(_spec(options={"type": "object", "properties": {"가/%7E b": option}}))
    _check(document, _body("tree", JSON), {"text": "x", "options": {"가/%7E b": ["x"]}})
    with pytest.raises(ValidationError):
        _check(document, _body("tree", JSON), {"text": "x", "options": {"가/%7E b": [1]}})
    with pytest.raises(ValidationError):
        _check(document, _body("tree", FORM), {"file": ["a"], "가/%7E b": [1]})


@pytest.mark.parametrize(
    "kept",
    [
        {"$ref": "#named"},
        {"$ref": "https://elsewhere.example/x#/$defs/y"},
        {"const": {"$ref": "#/x"}},
        {"properties": {"$ref": {"type": "string"}}},
        {"items": {"$id": "https://inner.example", "$ref": "#/$defs/y"}},
    ],
)
def test_what_is_no_reference_into_the_schema_stays(kept: dict[str, Any]) -> None:
    assert placed(kept, "#/components/schemas/x") == kept


def test_a_property_may_have_any_name() -> None:
    named = {"properties": {"default": {"$ref": "#/$defs/y"}}}
    assert placed(named, "#/x") == {"properties": {"default": {"$ref": "#/x/$defs/y"}}}


def test_every_shipped_module_has_examples_that_it_takes() -> None:
    specs = [module.spec for module in load_modules(Path(__file__).parents[2] / "modules", noop=True)]
    document = _document(*specs)
    document["components"]["schemas"]["Problem"] = {}
    resolver = Registry().with_resource("", DRAFT202012.create_resource(document)).resolver()
    for reference in _references(document):
        assert resolver.lookup(reference).contents is not None
    for spec in specs:
        operation = document["paths"][f"/v1/{spec.name}"]["post"]
        for kind, content in operation["requestBody"]["content"].items():
            examples = [example["value"] for example in content["examples"].values()]
            assert examples
            for example in examples:
                _check(document, _body(spec.name, kind), example)
        assert operation["responses"]["202"]["content"]["application/json"]["example"]["module"] == spec.name
        assert f"{ADDRESS}/v1/{spec.name}" in operation["x-codeSamples"][0]["source"]


def test_the_page_shows_what_a_result_is() -> None:
    document = _document(_spec(result_schema={**SCHEMA, "description": "a <tree>"}))
    shown = _call(
        "post", "/v1/tree", document["paths"]["/v1/tree"]["post"], "http://gateway", document["components"]["schemas"]
    )
    assert "<summary><code>tree-result</code></summary>" in shown
    assert '"says": {' in shown
    assert "a &lt;tree&gt;" in shown
    assert "http://gateway/v1/tree" in shown


def test_the_answers_shown_are_what_is_answered() -> None:
    """Submit's and the upload's are compared with real answers in tests/integration/test_ingress_jobs.py."""
    query = usage_query(start="2026-03-01", end="2026-03-02", group_by="module,day", zone=None, service=None, now_ms=0)
    row = ReportRow(("gongmun", "2026-03-02"), ZERO, Decimal(0), Decimal(0))
    answer = _usage_document(Report(query, (row,)), UsageFound({}, (), 0))
    assert answer.keys() == USED.keys()
    assert answer["rows"][0].keys() == USED["rows"][0].keys()
    assert answer["rows"][0]["waste"].keys() == USED["rows"][0]["waste"].keys()
    assert answer["total"].keys() == USED["total"].keys()
    assert {name: answer[name] for name in ("from", "to", "tz")} == {name: USED[name] for name in ("from", "to", "tz")}
    for doc, status in ((SUBMIT_DOC, 202), (BLOB_DOC, 201), (USAGE_DOC, 200)):
        assert doc["responses"][status]["content"]["application/json"]["example"]
        assert doc["openapi_extra"]["x-codeSamples"]
