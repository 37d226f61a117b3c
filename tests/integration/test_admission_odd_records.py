"""Records that a service may put into its door though no client of ours would: they stop nobody else's."""

import secrets
import time
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.record.util import calc_crc32c

from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.services import Allowance, Quotas, ServiceSettings
from schemas.topics import DOOR_RETENTION, LONGEST_DOOR_WAIT, MAX_RECORD_BYTES, SERVICES, batch_door
from tests.integration.test_admission import Door, door

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

CODEC = Codec()
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def produce(it: Door, request: BatchRequest, headers: Sequence[tuple[str, bytes | None]], at_ms: int = 0) -> None:
    """Send one record as it is told, past whatever our own clients look at."""
    producer = AIOKafkaProducer(bootstrap_servers=it.bootstrap, max_request_size=2 * MAX_RECORD_BYTES)
    await producer.start()
    try:
        topic = batch_door(it.service).requests.name
        await producer.send_and_wait(topic, CODEC.encode(request), headers=headers, timestamp_ms=at_ms or None)
    finally:
        await producer.stop()


async def produce_garbled(it: Door, *request_ids: str) -> None:
    """Send a batch of records, the second of which has a header whose name is in EUC-KR."""
    producer = AIOKafkaProducer(bootstrap_servers=it.bootstrap, enable_idempotence=False)
    await producer.start()
    batch: Any = producer.create_batch()
    for n, request_id in enumerate(request_ids):
        headers = [("xxxx", b"1")] if n == 1 else []
        value = CODEC.encode(BatchRequest(request_id, "noop", text="x"))
        batch.append(timestamp=None, key=None, value=value, headers=headers)
    sent = bytearray(batch._build())
    at = sent.index(b"xxxx")
    sent[at : at + 4] = "부서".encode("euc-kr")
    sent[17:21] = calc_crc32c(sent[21:]).to_bytes(4, "big")
    batch._buffer = sent
    await (await producer.send_batch(batch, batch_door(it.service).requests.name, partition=0))
    await producer.stop()


async def test_a_header_whose_name_cannot_be_read_stops_neither_its_batch_nor_the_door(
    kafka: str, redis_url: str
) -> None:
    async with door(kafka, redis_url) as it:
        await it.send(BatchRequest("before", "noop", text="x"))
        await it.until(1)
        await produce_garbled(it, "r0", "garbled", "r2")
        await produce(it, BatchRequest("good", "noop", text="x"), [])
        await it.until(5)
        await it.send(BatchRequest("after", "noop", text="x"))
        await it.until(6)
    assert sorted(a.request_id for _, a, _ in it.answers) == ["after", "before", "garbled", "good", "r0", "r2"]


async def keep_written_times(bootstrap: str, topic: str) -> None:
    """Let a door's records have the times that a test gives them."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    configs = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    await client.close()


async def test_a_header_without_a_value_is_none(kafka: str, redis_url: str) -> None:
    names = ("traceparent", "tracestate", "anything")
    async with door(kafka, redis_url) as it:
        for name in names:
            trace = [] if name == "traceparent" else [("traceparent", TRACE)]
            await produce(it, BatchRequest(name, "noop", text="x"), [(name, None), *trace])
        await produce(it, BatchRequest("good", "noop", text="x"), [])
        await it.until(4)
    assert sorted(a.request_id for _, a, _ in it.answers) == sorted(["good", *names])


async def test_what_would_grow_beyond_the_brokers_limit_is_cut_or_rejected(kafka: str, redis_url: str) -> None:
    """Each fits the door by a few bytes, cannot be compressed, and would not fit as an entry."""
    long = secrets.token_urlsafe(MAX_RECORD_BYTES)[: MAX_RECORD_BYTES - 700]
    async with door(kafka, redis_url) as it:
        await produce(it, BatchRequest("name", "noop", content=b"x", name=f"folder/{long}.txt"), [])
        state = [("traceparent", TRACE), ("tracestate", f"v={long}".encode())]
        await produce(it, BatchRequest("state", "noop", text="x"), state)
        await produce(it, BatchRequest("options", "noop", text="x", options=f'{{"sleep_ms": "{long}"}}'), [])
        await produce(it, BatchRequest("good", "noop", text="x"), [])
        await it.until(4)
    assert sorted(a.request_id for _, a, _ in it.answers) == ["good", "name", "state"]
    assert [(r.request_id, r.code) for r in it.rejections] == [("options", "invalid_option")]
    carried = {a.request_id: headers for _, a, headers in it.answers}["state"]
    assert "tracestate" not in carried
    name = {r.job.job_id: r.inputs[0].name for r in it.requests}
    assert [len(n) for n in name.values() if n] == [255]


async def test_what_has_waited_for_its_quota_until_the_topic_would_drop_it_is_rejected(
    kafka: str, redis_url: str
) -> None:
    """A quota may be used up for months by what stands before: every record has its answer all the same."""
    now = int(time.time() * 1000)
    old, younger = (now - int(days * 86_400_000) for days in (LONGEST_DOOR_WAIT.days + 0.5, DOOR_RETENTION.days - 5))
    async with door(kafka, redis_url, Quotas(requests_per_minute=1)) as it:
        topic = batch_door(it.service).requests
        await keep_written_times(kafka, topic.name)
        await produce(it, BatchRequest("first", "noop", text="x"), [])
        await it.until(1)
        await produce(it, BatchRequest("old", "noop", text="x"), [], old)
        await it.until(2)
        await produce(it, BatchRequest("younger", "noop", text="x"), [], younger)
        more = Allowance(quotas=Quotas(requests_per_minute=10))
        await it.publisher.publish(SERVICES, it.service, ServiceSettings(it.service, batch=True, allowance=more))
        await it.until(3)
    assert [a.request_id for _, a, _ in it.answers] == ["first", "younger"]
    assert [(r.request_id, r.code) for r in it.rejections] == [("old", "quota_exceeded")]
    assert f"{LONGEST_DOOR_WAIT.days} days" in it.rejections[0].message
