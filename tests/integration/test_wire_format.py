"""The batch door with a schema registry: requests in either framing, and what a registry that is away holds up."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from schemas.avro_files import latest_schema
from schemas.batch import BatchAnswer, BatchRejection, BatchRequest
from schemas.codec import Codec
from schemas.payloads import text_payload
from schemas.services import ServiceSettings
from schemas.topics import SERVICES, batch_door
from streams.client import BlockingDoor, DoorClient
from streams.log.admin import kafka_admin
from streams.log.protocols import Raw
from streams.log.schema_registry import SchemaRegistry, framed
from streams.log.whole_topics import read_whole
from tests.integration.test_admission import Door, door
from tests.services import ROOT
from tests.sim.registry import RegistryProcess, registry_process

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

CODEC = Codec()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    with registry_process(tmp_path) as running:
        yield running


async def registered(registry: RegistryProcess, record: str) -> int:
    """The id of a schema of ours, as a client of the registry gets it."""
    async with SchemaRegistry(registry.url) as asking:
        return await asking.register(f"any-{record}", latest_schema(record).source)


async def send(it: Door, *values: bytes) -> None:
    """Put bytes into the door, as whoever wrote them."""
    topic = batch_door(it.service).requests.name
    await it.publisher.publish_many([Raw(topic, None, value, {}) for value in values])


async def test_each_framing_is_answered_and_what_an_id_does_not_stand_for_is_rejected(
    kafka: str, redis_url: str, registry: RegistryProcess
) -> None:
    request_id, other = await registered(registry, "BatchRequest"), await registered(registry, "JobControl")
    plain = CODEC.encode(BatchRequest("framed", "noop", text="x"))
    async with door(kafka, redis_url, GATEWAY_SCHEMA_REGISTRY_URL=registry.url) as it:
        await send(
            it,
            framed(plain, request_id),
            CODEC.encode(BatchRequest("plain", "noop", text="y")),
            framed(plain, 471),
            framed(plain, other),
            b"\x00\x00",
            framed(plain, request_id)[:-1],
            CODEC.encode(BatchRequest("last", "noop", text="z")),
        )
        await it.until(7)
        # The same request in the other framing is the same job, and answered already.
        await send(it, plain, CODEC.encode(BatchRequest("after", "noop", text="z")))
        await it.until(8)
    assert sorted(a.request_id for _, a, _ in it.answers) == ["after", "framed", "last", "plain"]
    assert len({r.job.job_id for r in it.requests}) == 4
    assert sorted(r.code for r in it.rejections) == ["undecodable_record"] * 3 + ["unknown_schema"]
    assert all(r.remedy for r in it.rejections if r.code == "unknown_schema")


async def test_a_registry_that_is_away_holds_up_its_own_records_and_none_is_lost_or_refused(
    kafka: str, redis_url: str, registry: RegistryProcess
) -> None:
    """Other doors are served meanwhile, and admission is not started anew."""
    request_id = await registered(registry, "BatchRequest")
    count, other = 20, f"svc-{uuid4().hex[:8]}"
    async with door(kafka, redis_url, GATEWAY_SCHEMA_REGISTRY_URL=registry.url) as it:
        async with kafka_admin(kafka) as admin:
            await admin.ensure_topics(batch_door(other).topics)
        await it.publisher.publish(SERVICES, other, ServiceSettings(other, batch=True))
        assert it.process is not None
        first = it.process.pid
        registry.kill()
        await send(
            it, *(framed(CODEC.encode(BatchRequest(f"r{n}", "noop", text="x")), request_id) for n in range(count))
        )
        async with DoorClient(kafka, other) as client:
            for round_ in range(3):  # each after the registry was asked in vain
                asked = [BatchRequest(f"{round_}", "no-such-module", text="x")]
                told = [reply.told async for reply in client.ask(asked)]
                assert [t.code for t in told if isinstance(t, BatchRejection)] == ["unknown_module"]
        assert not it.answers
        assert not it.rejections
        registry.start()
        await it.until(count)
        assert it.process.pid == first
        assert it.process.returncode is None
        await it.publisher.publish_raw(SERVICES.name, other.encode(), None, {})
    assert not it.rejections
    assert sorted(a.request_id for _, a, _ in it.answers) == sorted(f"r{n}" for n in range(count))


@pytest.mark.full
async def test_the_client_writes_in_the_wire_format_where_it_is_given_a_registry(
    kafka: str, redis_url: str, registry: RegistryProcess
) -> None:
    async with door(kafka, redis_url, GATEWAY_SCHEMA_REGISTRY_URL=registry.url) as it:
        async with DoorClient(kafka, it.service, registry.url) as client:
            replies = [reply.told async for reply in client.ask([BatchRequest("r1", "noop", text="hello")])]
        (told,) = replies
        assert isinstance(told, BatchAnswer)
        assert (told.status, told.result) == ("done", text_payload("hello"))
        assert isinstance(BlockingDoor(kafka, it.service, registry.url), BlockingDoor)
        values = [r.value async for batch in read_whole(kafka, [batch_door(it.service).requests.name]) for r in batch]
    schema_id = await registered(registry, "BatchRequest")
    assert values == [framed(CODEC.encode(BatchRequest("r1", "noop", text="hello")), schema_id)]


@pytest.mark.full
async def test_what_confluents_own_serializer_writes_is_taken_as_the_howto_tells(
    kafka: str, redis_url: str, registry: RegistryProcess
) -> None:
    page = (ROOT / "docs/howto/produce-from-python.md").read_text()
    (program,) = [b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "AvroSerializer(" in b]
    async with door(kafka, redis_url, GATEWAY_SCHEMA_REGISTRY_URL=registry.url) as it:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, kafka, registry.url, it.service, "hello", "again"), cwd=ROOT
        )
        assert await process.wait() == 0
        await it.until(2)
        values = [r.value async for batch in read_whole(kafka, [batch_door(it.service).requests.name]) for r in batch]
    assert not it.rejections
    assert sorted(a.request_id for _, a, _ in it.answers) == ["text-0", "text-1"]
    assert all(value is not None and value[0] == 0 for value in values)


@pytest.mark.full
async def test_without_a_registry_the_wire_format_is_rejected(kafka: str, redis_url: str) -> None:
    async with door(kafka, redis_url) as it:
        await send(it, framed(CODEC.encode(BatchRequest("r1", "noop", text="x")), 1))
        await it.until(1)
    assert [r.code for r in it.rejections] == ["undecodable_record"]
    assert "C3 01" in it.rejections[0].message
