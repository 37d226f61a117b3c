"""Avro single-object encoding (`C3 01`, fingerprint, body) to frozen values and back.

Source: Apache Avro 1.11 specification, "Single-object encoding". A value is written with the latest
schema of its record and read with the schema that its writer used, resolved to the latest.
"""

import io
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import fastavro

from schemas.avro_code import compile_decoder, compile_encoder
from schemas.avro_files import HEADER_BYTES, MARKER, WriterSchema, latest_schema, shipped_schemas
from schemas.batch import BatchAnswer, BatchEntry, BatchNotes, BatchRejection, BatchRequest
from schemas.closed_days import ClosedDay
from schemas.errors import UndecodableRecord
from schemas.events import (
    ApiKey,
    ChatRequest,
    JobControl,
    JobEvent,
    JobResult,
    SchemaRecord,
    StageOutcome,
    StageRequest,
    UsageEvent,
)
from schemas.job_state import JobState
from schemas.modules import ModuleRecord
from schemas.purges import Purge
from schemas.replays import ReplayEvent
from schemas.services import ServiceSettings
from schemas.usage_ledger import LedgerEntry

T = TypeVar("T")
Convert = Callable[[Any], Any]

RECORD_TYPES: tuple[type, ...] = (
    StageRequest,
    StageOutcome,
    JobResult,
    JobEvent,
    UsageEvent,
    ChatRequest,
    JobControl,
    ApiKey,
    SchemaRecord,
    JobState,
    LedgerEntry,
    ClosedDay,
    ServiceSettings,
    BatchRequest,
    BatchEntry,
    BatchAnswer,
    BatchRejection,
    BatchNotes,
    ModuleRecord,
    ReplayEvent,
    Purge,
)


class UnknownFingerprint(UndecodableRecord):
    """The bytes are well formed, but no schema with their fingerprint is known yet."""

    default_code = "unknown_schema"

    def __init__(self, fingerprint: str) -> None:
        super().__init__(
            f"no schema has the fingerprint {fingerprint}",
            remedy="put the writer's schema on the topic `schemas`, then replay the record",
        )
        self.fingerprint = fingerprint


class Codec:
    """Encodes and decodes records; knows the shipped schemas and those that were learned since."""

    def __init__(self) -> None:
        self._layouts = {kind.__name__: _Layout(kind) for kind in RECORD_TYPES}
        self._by_header: dict[bytes, WriterSchema] = {s.header: s for s in shipped_schemas()}

    def learn(self, schema: WriterSchema) -> None:
        """Make the values that were written with `schema` readable."""
        self._by_header.setdefault(schema.header, schema)

    def knows(self, fingerprint: str) -> bool:
        """Tell whether values written with this schema can be read."""
        return any(s.fingerprint == fingerprint for s in self._by_header.values())

    def encode(self, record: object) -> bytes:
        """Encode a record with the latest schema of its type."""
        return self._layouts[type(record).__name__].encode(record)

    def decode(self, data: bytes, kind: type[T]) -> T:
        """Decode a record of type `kind`.

        Raises UnknownFingerprint when the writer's schema is not known, UndecodableRecord when the
        bytes are no single-object encoding, are cut short, or hold another record.
        """
        if len(data) < HEADER_BYTES or not data.startswith(MARKER):
            raise UndecodableRecord(
                f"{len(data)} bytes without the mark of Avro single-object encoding (C3 01)",
                remedy="produce Avro single-object encoding; see the schemas under schemas/avro",
            )
        writer = self._by_header.get(data[:HEADER_BYTES])
        if writer is None:
            raise UnknownFingerprint(data[2:HEADER_BYTES][::-1].hex())
        if writer.name != kind.__name__:
            raise UndecodableRecord(f"the record is a {writer.name}; this topic carries {kind.__name__}")
        layout = self._layouts[kind.__name__]
        try:
            if writer is layout.latest:
                value, end = layout.decode(data, HEADER_BYTES)
            else:
                value, end = layout.resolve(data, writer)
            if end != len(data):
                raise ValueError(f"{len(data)} bytes, of which the value should take {end}")
            return value
        except Exception as e:  # whatever a hostile body makes the parser raise
            raise UndecodableRecord(f"a {writer.name} of {len(data)} bytes cannot be read: {type(e).__name__}") from e


class _Layout:
    """How one record type is read and written."""

    def __init__(self, kind: type) -> None:
        self.latest = latest_schema(kind.__name__)
        self.encode = compile_encoder(kind, self.latest.parsed, self.latest.header)
        self.decode = compile_decoder(kind, self.latest.parsed)
        self._load = _loader(kind)

    def resolve(self, data: bytes, writer: WriterSchema) -> tuple[Any, int]:
        """Read a value of another version of the schema; return it and the position after it."""
        body = io.BytesIO(data)
        body.seek(HEADER_BYTES)
        value = fastavro.schemaless_reader(body, writer.parsed, self.latest.parsed)
        return self._load(value), body.tell()


def _loader(kind: type) -> Convert:
    nested = [(n, c) for n, t in _hints(kind) if (c := _load_value(t)) is not None]

    def load(value: dict[str, Any]) -> Any:
        for name, convert in nested:
            value[name] = convert(value[name])
        return kind(**value)

    return load


def _hints(kind: type) -> list[tuple[str, Any]]:
    hints = get_type_hints(kind)
    return [(f.name, hints[f.name]) for f in fields(kind)]


def _load_value(hint: Any) -> Convert | None:
    """Return what turns a value that fastavro read into one of type `hint`, or None where it is one already."""
    origin, args = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _loader(cast(type, hint))
    if origin in (UnionType, Union):
        inner = _load_value(next(a for a in args if a is not type(None)))
        return None if inner is None else _optional(inner)
    if origin is tuple:
        inner = _load_value(args[0])
        return tuple if inner is None else _each(inner)
    if origin is dict:
        inner = _load_value(args[1])
        return None if inner is None else _values(inner)
    return None


def _optional(inner: Convert) -> Convert:
    return lambda value: None if value is None else inner(value)


def _each(inner: Convert) -> Convert:
    return lambda value: tuple(map(inner, value))


def _values(inner: Convert) -> Convert:
    return lambda value: {k: inner(v) for k, v in value.items()}
