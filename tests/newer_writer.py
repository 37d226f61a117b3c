"""Records as a newer gateway writes them, with a field more than this one knows."""

import io
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import fastavro

from schemas.avro_files import latest_schema, parse_schema
from schemas.events import SchemaRecord


class NewerWriter:
    """Writes one kind of record with a schema that no other test uses. `schema` is what goes to the topic `schemas`."""

    def __init__(self, kind: type) -> None:
        # A name of its own: the fingerprint knows names, not defaults, and the broker may be an old one.
        self._field = f"note_{uuid4().hex}"
        added = f'"fields": [{{"name": "{self._field}", "type": "string", "default": ""}},'
        source = latest_schema(kind.__name__).source.replace('"fields": [', added, 1)
        self._schema = parse_schema(kind.__name__, 99, source)
        self.schema = SchemaRecord(self._schema.fingerprint, self._schema.name, self._schema.source)

    def write(self, record: Any) -> bytes:
        """Return the record's bytes."""
        out = io.BytesIO()
        out.write(self._schema.header)
        fastavro.schemaless_writer(out, self._schema.parsed, {self._field: "n", **_as_avro(asdict(record))})
        return out.getvalue()


def _as_avro(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _as_avro(v) for k, v in value.items()}
    return [_as_avro(v) for v in value] if isinstance(value, list | tuple) else value
