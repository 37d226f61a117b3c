"""The beginning of a record: who it is about. What follows (contents, options) is not decoded at all."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar, cast

from schemas.avro_code import compile_decoder
from schemas.avro_files import HEADER_BYTES, latest_schema
from schemas.codec import Codec
from schemas.errors import UndecodableRecord
from schemas.events import JobRef, JobResult, StageOutcome, StageRequest, Step

H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class StageHead:
    """What requests and outcomes of stages begin with."""

    event_id: str
    job: JobRef
    steps: tuple[Step, ...]
    position: int


@dataclass(frozen=True, slots=True)
class ResultHead:
    """What terminal records begin with."""

    event_id: str
    job: JobRef
    status: str


class HeadReader(Generic[H]):
    """Reads the heads of one record type; those of older writers are decoded whole, and have the same names."""

    def __init__(self, record: type, head: type[H], codec: Codec) -> None:
        self._record, self._codec = record, codec
        schema = latest_schema(record.__name__)
        names = {f.name for f in fields(cast(Any, head))}
        cut = {**schema.parsed, "fields": [f for f in schema.parsed["fields"] if f["name"] in names]}
        self._header = schema.header
        self._decode: Callable[[bytes, int], tuple[H, int]] = compile_decoder(head, cut)

    def read(self, data: bytes | None) -> H | None:
        """Return a record's head, or None when it cannot be read."""
        if data is None:
            return None
        try:
            if data.startswith(self._header):
                head, end = self._decode(data, HEADER_BYTES)
                return head if end <= len(data) else None
            return cast(H, self._codec.decode(data, self._record))
        except (UndecodableRecord, ValueError, IndexError, OverflowError):
            return None


def stage_heads(record: type[StageRequest] | type[StageOutcome], codec: Codec) -> HeadReader[StageHead]:
    """Return a reader of requests or outcomes."""
    return HeadReader(record, StageHead, codec)


def result_heads(codec: Codec) -> HeadReader[ResultHead]:
    """Return a reader of terminal records."""
    return HeadReader(JobResult, ResultHead, codec)
