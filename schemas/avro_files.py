"""The Avro schemas that ship with the code: every version of every record, and their fingerprints."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import fastavro
import orjson
from fastavro.schema import fingerprint, to_parsing_canonical_form

MARKER = b"\xc3\x01"
HEADER_BYTES = 10


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """One version of a record's schema. `header` is what every encoded value of it begins with."""

    name: str
    version: int
    fingerprint: str
    header: bytes
    parsed: Any
    source: str


def parse_schema(name: str, version: int, source: str) -> WriterSchema:
    """Parse a schema's JSON.

    Raises ValueError when it is no Avro schema.
    """
    try:
        parsed = fastavro.parse_schema(orjson.loads(source))
        # fastavro gives the bytes as they are sent (little-endian); the usual name is the number.
        sent = bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
    except Exception as e:  # fastavro raises several unrelated classes
        raise ValueError(f"{name} version {version} is no Avro schema: {e}") from e
    return WriterSchema(name, version, sent[::-1].hex(), MARKER + sent, parsed, source)


@cache
def shipped_schemas() -> tuple[WriterSchema, ...]:
    """Return every schema under `schemas/avro`, ordered by name and version.

    File names are `<Record>.<version>.avsc`; the highest version is the one that is written.
    """
    found: list[WriterSchema] = []
    for file in resources.files("schemas.avro").iterdir():
        if file.name.endswith(".avsc"):
            name, version, _ = file.name.split(".")
            found.append(parse_schema(name, int(version), file.read_text()))
    return tuple(sorted(found, key=lambda s: (s.name, s.version)))


def latest_schema(name: str) -> WriterSchema:
    """Return the version of record `name` that this code writes."""
    return [s for s in shipped_schemas() if s.name == name][-1]
