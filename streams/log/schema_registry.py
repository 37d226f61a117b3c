"""Records in the wire format of Confluent's serializers: a zero byte, the id of a schema in a registry, the Avro body.

The registry only says which schema an id stands for. The body is then read as if that one's fingerprint stood before
it: a record is held to the same schemas in either framing, and no schema of somebody else's is ever decoded with.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, cast

import httpx
import orjson

from schemas.avro_files import HEADER_BYTES, parse_schema
from schemas.errors import Outage, Permanent, UndecodableRecord
from streams.authorities import trusted
from streams.log.protocols import Decoder

T = TypeVar("T")

MAGIC = b"\x00"
FRAME_BYTES = 5

_JSON = "application/vnd.schemaregistry.v1+json"
_OK, _NOT_FOUND, _REFUSED = 200, 404, (409, 422)
_CALL_S = 3.0
_PAUSE_S = 1.0
_KEPT = 1_000
_MISSING_S = 5.0
_MOST_SCHEMA_BYTES = 256 * 1024


class RegistryDown(Outage):
    """The registry does not answer as one: what needs it has to wait."""

    default_code = "schema_registry_down"


class SchemaRegistry:
    """Asks a registry at `url` (user and password in it, if it wants them); enter it to use it.

    After a call that failed it is left alone for a second: whoever asks meanwhile is told at once.
    """

    def __init__(self, url: str) -> None:
        given = httpx.URL(url)
        self._http = httpx.AsyncClient(
            base_url=given.copy_with(userinfo=b""),  # which is told by the client's own log
            auth=(given.username, given.password) if given.username else None,
            timeout=_CALL_S,
            trust_env=False,
            verify=trusted(url),
            headers={"Accept": _JSON},
        )
        self._name = self._http.base_url.host
        self._known: dict[int, bytes | UndecodableRecord] = {}
        self._missing: dict[int, float] = {}
        self._left_alone_until = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def header(self, schema_id: int) -> bytes:
        """Return what a record of this schema begins with in single-object encoding; it is asked for once.

        Raises UndecodableRecord (`unknown_schema` when the registry has none of this id, `unusable_schema` when that is
        no Avro schema) and RegistryDown.
        """
        if schema_id not in self._known:
            self._known[schema_id] = await self._look_up(schema_id)
        found = self._known[schema_id]
        if isinstance(found, UndecodableRecord):
            raise found
        return found

    async def register(self, subject: str, schema: str) -> int:
        """Put a schema under a subject, where it may be already; return its id.

        Raises Permanent when the registry refuses it, and RegistryDown.
        """
        answer = await self._ask("POST", f"subjects/{subject}/versions", {"schema": schema})
        if answer.status_code in _REFUSED:
            raise Permanent(
                f"the schema registry {self._name} does not take the schema for {subject}: {_told(answer)}",
                code="schema_refused",
                remedy="let the subject hold the schemas of schemas/avro, or use another",
            )
        found = self._body(answer).get("id")
        if not isinstance(found, int):
            raise self._down("its answer has no id")
        return found

    async def _look_up(self, schema_id: int) -> bytes | UndecodableRecord:
        if len(self._known) >= _KEPT:
            self._known.clear()
        if self._missing.get(schema_id, 0.0) > time.monotonic():
            raise self._unknown(schema_id)
        answer = await self._ask("GET", f"schemas/ids/{schema_id}")
        if answer.status_code == _NOT_FOUND:
            # It may be registered a moment later, so this is not known for long.
            if len(self._missing) >= _KEPT:
                self._missing.clear()
            self._missing[schema_id] = time.monotonic() + _MISSING_S
            raise self._unknown(schema_id)
        return self._header_of(schema_id, self._body(answer))

    def _header_of(self, schema_id: int, body: dict[str, Any]) -> bytes | UndecodableRecord:
        source, kind = body.get("schema"), body.get("schemaType", "AVRO")
        if not isinstance(source, str):
            raise self._down("its answer has no schema")
        if kind == "AVRO" and not body.get("references") and len(source) <= _MOST_SCHEMA_BYTES:
            try:
                return parse_schema(f"schema {schema_id}", 0, source).header
            except ValueError:
                pass
        return UndecodableRecord(
            f"schema {schema_id} of the registry {self._name} cannot be used: it is no Avro schema that stands alone",
            code="unusable_schema",
            remedy="register schemas/avro/BatchRequest.1.avsc as it is",
        )

    async def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        if time.monotonic() < self._left_alone_until:
            raise self._down("it did not answer a moment ago", again=False)
        content = None if body is None else orjson.dumps(body)
        try:
            return await self._http.request(method, path, content=content, headers={"Content-Type": _JSON})
        except httpx.HTTPError as e:
            raise self._down(type(e).__name__) from e

    def _body(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code != _OK:
            raise self._down(f"HTTP {answer.status_code}")
        try:
            body = orjson.loads(answer.content)
        except orjson.JSONDecodeError as e:
            raise self._down("its answer is no JSON") from e
        if not isinstance(body, dict):
            raise self._down("its answer is no JSON object")
        return cast(dict[str, Any], body)

    def _down(self, why: str, *, again: bool = True) -> RegistryDown:
        if again:
            self._left_alone_until = time.monotonic() + _PAUSE_S
        return RegistryDown(
            f"the schema registry {self._name} cannot be asked: {why}",
            remedy="start it, or correct GATEWAY_SCHEMA_REGISTRY_URL; what needs it waits",
        )

    def _unknown(self, schema_id: int) -> UndecodableRecord:
        return UndecodableRecord(
            f"the schema registry {self._name} has no schema {schema_id}",
            code="unknown_schema",
            remedy="register schemas/avro/BatchRequest.1.avsc there, then send the record again with its id",
        )


class FramedDecoder:
    """A Decoder that takes records in the wire format too, and gives every other one to `decoder` as it is."""

    def __init__(self, decoder: Decoder, registry: SchemaRegistry) -> None:
        self._decoder = decoder
        self._registry = registry

    async def decode(self, data: bytes, kind: type[T]) -> T:
        """Decode a record. Raises what Decoder and SchemaRegistry.header do."""
        if not data.startswith(MAGIC):
            return await self._decoder.decode(data, kind)
        if len(data) < FRAME_BYTES:
            raise UndecodableRecord(
                f"{len(data)} bytes that begin as the wire format of a schema registry, and have no schema's id",
                remedy="write a zero byte, four bytes of the schema's id (big-endian), then the Avro body",
            )
        header = await self._registry.header(int.from_bytes(data[1:FRAME_BYTES], "big"))
        return await self._decoder.decode(header + data[FRAME_BYTES:], kind)


@asynccontextmanager
async def in_either_framing(decoder: Decoder, url: str) -> AsyncGenerator[Decoder]:
    """Give what decodes records of batch doors: `decoder` itself where no registry is set."""
    if not url:
        yield decoder
        return
    async with SchemaRegistry(url) as registry:
        yield FramedDecoder(decoder, registry)


def framed(encoded: bytes, schema_id: int) -> bytes:
    """Return a record that is in single-object encoding in the wire format."""
    return MAGIC + schema_id.to_bytes(4, "big") + encoded[HEADER_BYTES:]


def _told(answer: httpx.Response) -> str:
    try:
        return str(orjson.loads(answer.content)["message"])[:300]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
