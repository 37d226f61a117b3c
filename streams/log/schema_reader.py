"""Learns writers' schemas from the topic `schemas`, so that a rolling upgrade dead-letters nothing."""

from typing import Self, TypeVar

from schemas.avro_files import parse_schema
from schemas.codec import Codec, UnknownFingerprint
from schemas.errors import Outage
from schemas.events import SchemaRecord
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Publisher, Tail
from streams.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")

_LEARNED = 0  # the version of a schema that did not ship with this code


class CodecDecoder:
    """A Decoder that knows what its codec knows and no more."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    async def decode(self, data: bytes, kind: type[T]) -> T:
        """Decode a record. Raises UndecodableRecord, UnknownFingerprint among them."""
        return self._codec.decode(data, kind)


class SchemaReader:
    """Decodes records, looking on the topic `schemas` before it gives one up. Enter it to read the topic."""

    def __init__(self, tail: Tail, codec: Codec, publisher: Publisher | None = None) -> None:
        self.codec = codec
        self._view = CompactedView(tail, SchemaRecord, CodecDecoder(codec), publisher, on_change=self._learn)

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._view.__aexit__(*args)

    @property
    def healthy(self) -> bool:
        """Whether the topic was read and the log answers."""
        return self._view.healthy

    async def decode(self, data: bytes, kind: type[T], *, patience_s: float = 2.0) -> T:
        """Decode a record; an unknown schema is looked up on the topic as it stands now.

        Raises UndecodableRecord, UnknownFingerprint when the schema is not there either, and Outage when the topic does
        not tell: the schema may be there, and a record that is given up for it would be lost.
        """
        try:
            return self.codec.decode(data, kind)
        except UnknownFingerprint:
            told = await self._view.refresh(patience_s)
        try:
            return self.codec.decode(data, kind)
        except UnknownFingerprint as e:
            if told:
                raise
            raise Outage(
                f"the log does not tell which schemas there are; one has the fingerprint {e.fingerprint}",
                code="schemas_unavailable",
            ) from e

    def _learn(self, _key: str, record: SchemaRecord | None) -> None:
        if record is None or self.codec.knows(record.fingerprint):
            return
        try:
            self.codec.learn(parse_schema(record.name, _LEARNED, record.schema))
        except ValueError as e:
            log.warning("schema.unusable", fingerprint=record.fingerprint, record=record.name, reason=str(e)[:200])
