"""The wire format of a schema registry: what its ids stand for, and what is made of its answers."""

import logging
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest

from schemas.avro_files import HEADER_BYTES, latest_schema
from schemas.batch import BatchRequest
from schemas.codec import Codec, UnknownFingerprint
from schemas.errors import InvalidInput, Permanent, UndecodableRecord
from streams.log import schema_registry
from streams.log.schema_reader import CodecDecoder
from streams.log.schema_registry import FramedDecoder, RegistryDown, SchemaRegistry, framed
from streams.settings import Settings
from tests.services import free_port
from tests.sim.registry import Registry

CODEC = Codec()
REQUEST = BatchRequest("r1", "noop", text="x", blobs=(), reply_headers={"a": "b"})
SOURCE = latest_schema("BatchRequest").source


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registered.json") as running:
        serving = Thread(target=running.serve_forever)
        serving.start()
        yield running
        running.shutdown()
        serving.join()


async def decoded(registry: SchemaRegistry, data: bytes, kind: Any = BatchRequest) -> Any:
    return await FramedDecoder(CodecDecoder(CODEC), registry).decode(data, kind)


async def test_either_framing_is_read_and_a_schema_is_asked_for_once(server: Registry) -> None:
    plain = CODEC.encode(REQUEST)
    async with SchemaRegistry(server.url) as registry:
        schema_id = await registry.register("batch.hr-value", SOURCE)
        assert await registry.register("batch.hr-value", SOURCE) == schema_id
        sent = framed(plain, schema_id)
        assert sent == b"\x00" + schema_id.to_bytes(4, "big") + plain[HEADER_BYTES:]
        for _ in range(3):
            assert await decoded(registry, sent) == REQUEST
        assert await decoded(registry, plain) == REQUEST
    assert server.asked.count(f"/schemas/ids/{schema_id}") == 1


async def test_a_schema_that_says_the_same_in_other_words_is_the_same(server: Registry) -> None:
    """As a registry that normalizes gives it back."""
    other = orjson.dumps({"doc": "mine", **orjson.loads(SOURCE)}, option=orjson.OPT_SORT_KEYS).decode()
    async with SchemaRegistry(server.url) as registry:
        assert await decoded(registry, framed(CODEC.encode(REQUEST), server.add({"schema": other}))) == REQUEST


@pytest.mark.parametrize(
    ("entry", "error", "code"),
    [
        (None, UndecodableRecord, "unknown_schema"),
        ({"schema": '{"type": "record", "name": "X", "fields": []}'}, UnknownFingerprint, "unknown_schema"),
        ({"schema": latest_schema("BatchRejection").source}, UndecodableRecord, "undecodable_record"),
        ({"schema": SOURCE, "schemaType": "JSON"}, UndecodableRecord, "unusable_schema"),
        ({"schema": SOURCE, "references": [{"name": "x"}]}, UndecodableRecord, "unusable_schema"),
        ({"schema": "no schema"}, UndecodableRecord, "unusable_schema"),
        ({"schema": "[" * 100_000}, UndecodableRecord, "unusable_schema"),
        ({"schema": f"{SOURCE}{' ' * 300_000}"}, UndecodableRecord, "unusable_schema"),
    ],
)
async def test_what_an_id_stands_for_may_be_of_no_use(
    server: Registry, entry: dict[str, Any] | None, error: type[UndecodableRecord], code: str
) -> None:
    schema_id = 77 if entry is None else server.add(entry)
    async with SchemaRegistry(server.url) as registry:
        for _ in range(2):
            with pytest.raises(error) as caught:
                await decoded(registry, framed(CODEC.encode(REQUEST), schema_id))
            assert caught.value.code == code
            assert caught.value.remedy or error is UndecodableRecord
    assert len(server.asked) == 1, "what it said is known"


async def test_the_body_is_of_a_record_of_ours_or_of_none(server: Registry) -> None:
    """However the schema that was registered reads it: with that no byte is ever decoded."""
    endless = {"type": "array", "items": "null"}
    fields = [*orjson.loads(SOURCE)["fields"], {"name": "more", "type": endless}]
    hostile = orjson.dumps({**orjson.loads(SOURCE), "fields": fields}).decode()
    body = framed(CODEC.encode(REQUEST), server.add({"schema": hostile})) + b"\x80\x80\x80\x80\x80\x80\x40\x00"
    async with SchemaRegistry(server.url) as registry:
        with pytest.raises(UnknownFingerprint):
            await decoded(registry, body)


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x00\x00\x00", b"\x00\x00\x00\x00\x01", b"\x00\x00\x00\x00\x01\xff"])
async def test_what_is_cut_short_is_refused(server: Registry, data: bytes) -> None:
    assert server.add({"schema": SOURCE}) == 1
    async with SchemaRegistry(server.url) as registry:
        with pytest.raises(UndecodableRecord) as caught:
            await decoded(registry, data)
    assert caught.value.code == "undecodable_record"


@pytest.mark.parametrize("schema_id", [1500, 1503, 1401, 1429, 1302, 1200])
async def test_a_registry_that_does_not_answer_as_one_is_an_outage_and_heals(server: Registry, schema_id: int) -> None:
    good = server.add({"schema": SOURCE})
    async with SchemaRegistry(server.url) as registry:
        with pytest.raises(RegistryDown):
            await registry.header(schema_id)
        asked = len(server.asked)
        with pytest.raises(RegistryDown):
            await registry.header(good)
        assert len(server.asked) == asked, "it is left alone for a moment"
        registry._left_alone_until = 0.0
        assert await decoded(registry, framed(CODEC.encode(REQUEST), good)) == REQUEST


async def test_one_that_is_not_there_is_an_outage() -> None:
    async with SchemaRegistry(f"http://user:hidden@127.0.0.1:{free_port()}") as registry:
        with pytest.raises(RegistryDown) as caught:
            await registry.header(1)
    assert "hidden" not in f"{caught.value.message} {caught.value.remedy}"


async def test_an_id_that_there_was_not_is_asked_for_again_later(
    server: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_registry, "_MISSING_S", 0.0)
    async with SchemaRegistry(server.url) as registry:
        with pytest.raises(UndecodableRecord):
            await registry.header(1)
        assert server.add({"schema": SOURCE}) == 1
        assert await registry.header(1) == latest_schema("BatchRequest").header


async def test_it_is_entered_with_the_user_and_the_password_of_its_address(
    server: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.login = f"Basic {b64encode(b'hr:secret').decode()}"
    schema_id = server.add({"schema": SOURCE})
    async with SchemaRegistry(server.url) as stranger:
        with pytest.raises(RegistryDown, match="401"):
            await stranger.header(schema_id)
    async with SchemaRegistry(server.url.replace("://", "://hr:secret@")) as known:
        assert await known.header(schema_id)
    assert str(server.server_port) in caplog.text
    assert "secret" not in caplog.text


async def test_a_schema_that_it_does_not_take_is_told(server: Registry) -> None:
    async with SchemaRegistry(server.url) as registry:
        with pytest.raises(Permanent, match="incompatible") as caught:
            await registry.register("refused-value", SOURCE)
    assert caught.value.code == "schema_refused"


def test_its_address_is_a_setting_with_a_scheme_and_not_shown() -> None:
    settings = Settings.from_env({"GATEWAY_SCHEMA_REGISTRY_URL": "https://hr:secret@registry:8081"})
    assert settings.schema_registry_url == "https://hr:secret@registry:8081"
    assert "secret" not in repr(settings)
    assert Settings.from_env({}).schema_registry_url == ""
    with pytest.raises(InvalidInput, match="GATEWAY_SCHEMA_REGISTRY_URL") as caught:
        Settings.from_env({"GATEWAY_SCHEMA_REGISTRY_URL": "registry:8081"})
    assert "http" in caught.value.remedy
