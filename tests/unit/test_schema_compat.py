"""Old records stay readable: a change of a schema is a new file, and the newest reads all before it."""

import io
from importlib import resources
from itertools import combinations
from typing import Any

import fastavro
import orjson
import pytest
from fastavro.utils import generate_many

from schemas.avro_files import WriterSchema, latest_schema, parse_schema, shipped_schemas
from schemas.codec import RECORD_TYPES
from tests.unit.avro_compatibility import problems

RELEASED = resources.files("schemas.avro") / "released.txt"


def released() -> dict[tuple[str, int], str]:
    """Return the fingerprints of the released schemas by record and version."""
    lines = (line.split() for line in RELEASED.read_text().splitlines() if line and not line.startswith("#"))
    return {(name, int(version)): fingerprint for name, version, fingerprint in lines}


def edited(schemas: tuple[WriterSchema, ...], known: dict[tuple[str, int], str]) -> list[str]:
    """Return what is wrong with the shipped schemas, given what was released."""
    shipped = {(s.name, s.version): s.fingerprint for s in schemas}
    wrong = [f"{n}.{v}.avsc is gone" for (n, v) in known if (n, v) not in shipped]
    for (name, version), fingerprint in shipped.items():
        if (name, version) not in known:
            wrong.append(f"{name}.{version}.avsc is new: add the line `{name} {version} {fingerprint}`")
        elif known[name, version] != fingerprint:
            wrong.append(f"{name}.{version}.avsc was edited: make it {name}.{version + 1}.avsc instead")
    return wrong


def test_released_schemas_are_as_they_were_released() -> None:
    assert edited(shipped_schemas(), released()) == []


def test_an_edited_a_missing_and_an_unlisted_schema_are_noticed() -> None:
    one = parse_schema("One", 1, '{"type":"record","name":"One","fields":[{"name":"a","type":"long"}]}')
    assert edited((one,), {("One", 1): one.fingerprint}) == []
    assert "was edited" in edited((one,), {("One", 1): "0" * 16})[0]
    assert "is gone" in edited((), {("One", 1): one.fingerprint})[0]
    assert "is new" in edited((one,), {})[0]


@pytest.mark.parametrize("kind", RECORD_TYPES, ids=lambda kind: kind.__name__)
def test_the_newest_version_reads_every_older_one(kind: type) -> None:
    versions = [s for s in shipped_schemas() if s.name == kind.__name__]
    assert [s.version for s in versions] == list(range(1, len(versions) + 1))
    for old in versions:
        assert problems(orjson.loads(old.source), orjson.loads(versions[-1].source)) == []
        for value in generate_many(old.parsed, 3):
            out = io.BytesIO()
            fastavro.schemaless_writer(out, old.parsed, value)
            out.seek(0)
            fastavro.schemaless_reader(out, old.parsed, latest_schema(kind.__name__).parsed)


BASE: dict[str, Any] = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "size", "type": "int"},
        {"name": "parts", "type": {"type": "array", "items": {"type": "record", "name": "Part", "fields": []}}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ],
}


def changed(index: int, **field: Any) -> dict[str, Any]:
    """Return BASE with one field replaced."""
    fields = [dict(f) for f in BASE["fields"]]
    fields[index] = {**fields[index], **field}
    return {**BASE, "fields": fields}


GOOD = {
    "the same": BASE,
    "a new field with a default": {**BASE, "fields": [*BASE["fields"], {"name": "x", "type": "long", "default": 0}]},
    "a field less": {**BASE, "fields": BASE["fields"][1:]},
    "a wider number": changed(1, type="long"),
    "one more branch": changed(3, type=["null", "string", "long"]),
}
BAD = {
    "a new field without a default": {**BASE, "fields": [*BASE["fields"], {"name": "x", "type": "long"}]},
    "a renamed field": changed(0, name="identifier"),
    "another type": changed(1, type="string"),
    "a branch less": changed(3, type="string"),
    "another name": {**BASE, "name": "Other"},
    "other items": changed(2, type={"type": "array", "items": "string"}),
    "an array made a map": changed(2, type={"type": "map", "values": "Part"}),
}


@pytest.mark.parametrize("reader", GOOD.values(), ids=GOOD.keys())
def test_compatible_changes_pass(reader: Any) -> None:
    assert problems(BASE, reader) == []


@pytest.mark.parametrize("reader", BAD.values(), ids=BAD.keys())
def test_incompatible_changes_are_found(reader: Any) -> None:
    assert problems(BASE, reader)


def test_a_narrower_number_is_found() -> None:
    wide, narrow = changed(1, type="long"), changed(1, type="int")
    assert problems(narrow, wide) == []
    assert problems(wide, narrow)


def test_no_two_schemas_share_a_fingerprint() -> None:
    assert all(a.fingerprint != b.fingerprint for a, b in combinations(shipped_schemas(), 2))
