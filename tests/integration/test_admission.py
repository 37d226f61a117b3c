"""The batch door on real Kafka: every record has exactly one answer, whatever it holds and whoever dies."""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.batch import BatchAnswer, BatchRejection, BatchRequest
from schemas.codec import Codec
from schemas.events import JobResult, StageRequest
from schemas.ids import keyed_job_id
from schemas.payloads import text_payload
from schemas.services import Allowance, Quotas, ServiceSettings
from schemas.topics import (
    BATCH_ENTRIES,
    BATCH_NOTES,
    JOB_PARTITIONS,
    LONGEST_DOOR_WAIT,
    MODULES,
    NOOP,
    RESULTS,
    SERVICES,
    batch_door,
)
from streams import redis_keys
from streams.client import DoorClient
from streams.log.admin import kafka_admin
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing, Raw
from streams.log.whole_topics import read_whole
from streams.redis_client import redis_client
from streams.storage.store import open_blob_store
from tests.integration.ingress_harness import own_database
from tests.services import ROOT, free_port
from tests.waiting import WaitUntil, eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

CODEC = Codec()


@dataclass
class Door:
    """A service with a door, the admission process behind it, and a stage that ends every job twice."""

    service: str
    bootstrap: str
    publisher: KafkaPublisher
    folder: Path
    redis_url: str
    metrics_port: int = 0
    process: asyncio.subprocess.Process | None = None
    answers: list[tuple[bytes, BatchAnswer, dict[str, bytes]]] = field(default_factory=list)
    rejections: list[BatchRejection] = field(default_factory=list)
    requests: list[StageRequest] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    most: int | None = None  # so many jobs end before `go_on` is set
    held: list[asyncio.Task[None]] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)

    async def start(self) -> None:
        env = {
            **os.environ,
            "GATEWAY_DATA_DIR": str(self.folder),
            "GATEWAY_KAFKA_BOOTSTRAP": self.bootstrap,
            "GATEWAY_REDIS_URL": self.redis_url,
            "GATEWAY_MODULES_DIR": str(self.folder / "modules"),
            "GATEWAY_NOOP": "1",
            "GATEWAY_METRICS_PORT": str(self.metrics_port),
            **self.more,
        }
        with (self.folder / "log").open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "streams.admission", env=env, cwd=ROOT, stdout=out, stderr=out
            )

    async def end(self, number: int) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    async def send(self, *requests: BatchRequest | bytes, key: bytes | None = None) -> None:
        topic = batch_door(self.service).requests
        await self.publisher.publish_many(
            [
                Raw(topic.name, key, r if isinstance(r, bytes) else CODEC.encode(r), {})
                if isinstance(r, bytes) or key is not None
                else Outgoing(topic, uuid4().hex, r, {})
                for r in requests
            ]
        )

    async def until(self, count: int, timeout_s: float = 60) -> None:
        try:
            async with asyncio.timeout(timeout_s), self.came:
                await self.came.wait_for(lambda: len(self.answers) + len(self.rejections) >= count)
        except TimeoutError:
            print((self.folder / "log").read_text()[-4000:])
            raise

    async def end_later(self, end: Outgoing) -> None:
        await self.go_on.wait()
        await self.publisher.publish_many([end] * 2)

    async def follow(self, consumer: AIOKafkaConsumer) -> None:
        door = batch_door(self.service)
        async for record in consumer:
            if record.topic == door.results.name:
                told = CODEC.decode(record.value or b"", BatchAnswer)
                self.answers.append((record.key or b"", told, dict(record.headers)))
            elif record.topic == door.rejected.name:
                self.rejections.append(CODEC.decode(record.value or b"", BatchRejection))
            else:
                request = CODEC.decode(record.value or b"", StageRequest)
                if request.job.service == self.service:
                    self.requests.append(request)
                    end = Outgoing(RESULTS, request.job.job_id, _ended(request), dict(record.headers))  # the trace
                    if self.most is not None and len(self.requests) > self.most:
                        self.held.append(asyncio.create_task(self.end_later(end)))
                    else:
                        await self.publisher.publish_many([end] * 2)
            async with self.came:
                self.came.notify_all()


def _ended(request: StageRequest) -> JobResult:
    return JobResult(f"{request.job.job_id}:0:result", request.job, "done", request.steps, result=request.inputs[0])


@asynccontextmanager
async def door(
    kafka: str,
    redis_url: str,
    limits: Quotas | None = None,
    metrics_port: int = 0,
    *,
    writers_time: bool = False,
    **more: str,
) -> AsyncGenerator[Door]:
    """Open a door; with `writers_time` its records may be as old as a test says, and stay. `more` are settings."""
    service = f"svc-{uuid4().hex[:8]}"
    topics = batch_door(service)
    if writers_time:
        topics = replace(topics, requests=replace(topics.requests, broker_time=False, retention=None))
    with tempfile.TemporaryDirectory() as folder:
        modules = Path(folder) / "modules"
        modules.mkdir()
        shutil.copy(ROOT / "modules" / "noop.yml", modules)
        async with KafkaPublisher(kafka, delivery_timeout_s=30) as publisher:
            async with kafka_admin(kafka) as admin:
                await admin.ensure_topics(topics.topics)
            allowance = Allowance(quotas=limits or Quotas())
            await publisher.publish(SERVICES, service, ServiceSettings(service, batch=True, allowance=allowance))
            it = Door(service, kafka, publisher, Path(folder), redis_url, metrics_port, more=more)
            consumer = AIOKafkaConsumer(
                topics.results.name,
                topics.rejected.name,
                NOOP.requests["bulk"].name,
                bootstrap_servers=kafka,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                fetch_max_wait_ms=50,
            )
            await consumer.start()
            following = asyncio.create_task(it.follow(consumer))
            try:
                await it.start()
                yield it
            finally:
                for task in (following, *it.held):
                    task.cancel()
                await asyncio.gather(following, return_exceptions=True)
                await consumer.stop()
                # It leaves its groups: after a kill the next one would wait until their sessions end.
                await it.end(signal.SIGTERM)
                await publisher.publish_raw(SERVICES.name, service.encode(), None, {})


async def test_each_kind_of_record_is_answered_once_with_its_reason(kafka: str, redis_url: str) -> None:
    async with door(kafka, redis_url) as it:
        blobs = open_blob_store(f"file:{it.folder / 'blobs'}")
        own = await blobs.put_bytes(it.service, "text/plain", b"own text")
        other = await blobs.put_bytes("another", "text/plain", b"somebody else's")
        unknown = b"\xc3\x01" + bytes(8) + b"x"
        of_another_schema = CODEC.encode(ServiceSettings(it.service))
        await it.send(
            BatchRequest("good", "noop", text="x", reply_headers={"trace": "abc"}),
            BatchRequest("blob", "noop", blobs=(own.sha256,)),
            BatchRequest("option", "noop", text="x", options='{"sleep_ms": "long"}'),
            BatchRequest("json", "noop", text="x", options="{"),
            BatchRequest("module", "nothing", text="x"),
            BatchRequest("nothing given", "noop"),
            BatchRequest("theirs", "noop", blobs=(other.sha256,)),
            BatchRequest("missing", "noop", blobs=("0" * 64,)),
            BatchRequest("large", "noop", text="x" * (512 * 1024 + 1)),
            b"garbage",
            unknown,
            of_another_schema,
        )
        await it.until(12)
        await it.send(BatchRequest("good", "noop", text="x", reply_headers={"trace": "abc"}))
        await it.send(BatchRequest("good", "noop", text="other"), BatchRequest("last", "noop", text="x"))
        await it.send(BatchRequest("any key", "noop", text="x"), key=b"\xff\x00\xfe")
        await it.until(15)
    answers = {a.request_id: (key, a, headers) for key, a, headers in it.answers}
    assert sorted(a.request_id for _, a, _ in it.answers) == ["any key", "blob", "good", "last"]
    key, good, headers = answers["good"]
    assert key.decode() == good.job_id == keyed_job_id(it.service, "batch", "good")
    assert (good.status, good.result) == ("done", text_payload("x"))
    assert set(headers) == {"trace", "traceparent"}, "its own come back, and the trace goes on"
    assert headers["trace"] == b"abc"
    codes = sorted((r.request_id, r.code) for r in it.rejections)
    assert codes == [
        ("", "undecodable_record"),
        ("", "undecodable_record"),
        ("", "unknown_schema"),
        ("good", "request_id_reused"),
        ("json", "malformed_json"),
        ("large", "upload_too_large"),
        ("missing", "blob_not_found"),
        ("module", "unknown_module"),
        ("nothing given", "invalid_body"),
        ("option", "invalid_option"),
        ("theirs", "blob_not_found"),
    ]
    reused = next(r for r in it.rejections if r.code == "request_id_reused")
    assert reused.job_id == good.job_id
    assert good.job_id in reused.message
    assert [r.message for r in it.rejections if "ServiceSettings" in r.message], "what it was is told"


async def test_a_rejection_of_a_request_id_takes_no_answer_from_its_first_job(kafka: str, redis_url: str) -> None:
    """Both have the job's id as their key."""
    async with door(kafka, redis_url) as it:
        it.most = 0
        await it.send(BatchRequest("r1", "noop", text="x"))
        await eventually(lambda: it.requests, 60)  # the process has to start first
        await it.send(BatchRequest("r1", "noop", text="other"), BatchRequest("r1", "noop", text="x", options="{"))
        await it.until(2)
        it.go_on.set()
        await it.until(3)
    assert sorted(r.code for r in it.rejections) == ["malformed_json", "request_id_reused"]
    assert [(a.request_id, a.result) for _, a, _ in it.answers] == [("r1", text_payload("x"))]


async def test_modules_come_and_change_while_the_door_is_open(kafka: str, redis_url: str) -> None:
    """A file that is broken changes nothing, not even at the start."""
    name = f"late-{uuid4().hex[:8]}"
    text = (ROOT / "modules" / "noop.yml").read_text().replace("name: noop", f"name: {name}")
    assert f"name: {name}" in text
    async with door(kafka, redis_url) as it:
        modules, sent = it.folder / "modules", 0
        await it.end(signal.SIGTERM)
        (modules / "broken.yml").write_text("name: [")
        await it.start()
        for version in ("1", "2"):
            (modules / "late.yml").write_text(text.replace('version: "1"', f'version: "{version}"'))
            while version not in {r.job.module_version for r in it.requests if r.job.module == name}:
                sent += 1
                await it.send(BatchRequest(f"r{sent}", name, text="x"))
                await it.until(sent)
        for version in ("1", "2"):
            await it.publisher.publish_raw(MODULES.name, f"{name}@{version}".encode(), None, {})
    assert {r.code for r in it.rejections} <= {"unknown_module"}
    assert len(it.answers) + len(it.rejections) == sent


@pytest.mark.full
async def test_every_record_has_one_answer_when_admission_is_killed_again_and_again(kafka: str, redis_url: str) -> None:
    count = 600
    async with door(kafka, redis_url) as it:
        everything = [
            b"garbage" if n % 100 == 0 else BatchRequest(f"r{n}", "noop", text=f"text {n}") for n in range(count)
        ]
        for begin in range(0, count, 500):
            await it.send(*everything[begin : begin + 500])
        for share in (0.1, 0.4, 0.7):
            await it.until(int(count * share))
            await it.end(signal.SIGKILL)
            await it.start()
        await it.until(count)
        # What is sent last is answered last: no repeat of an earlier answer is still to come behind it.
        await it.send(BatchRequest("last", "noop", text="x"))
        await it.until(count + 1)
        assert await it.end(signal.SIGTERM) == 0
    wanted = {f"r{n}" for n in range(count) if n % 100} | {"last"}
    given = [a.request_id for _, a, _ in it.answers]
    assert len(given) == len(set(given))
    assert set(given) == wanted
    assert all(a.result == text_payload(f"text {a.request_id[1:]}") for _, a, _ in it.answers if a.request_id != "last")
    places = [(r.partition, r.offset) for r in it.rejections]
    assert len(places) == len(set(places)) == count // 100


@pytest.mark.full
async def test_garbage_among_the_entries_is_buried_and_does_not_stop_the_next_start(kafka: str, redis_url: str) -> None:
    """The partition with the garbage is read again from its start by who takes it over; so are notes and answers."""
    garbage = f"no entry {uuid4().hex}".encode()
    everything = {f"{n}".encode() for n in range(JOB_PARTITIONS * 8)}  # so that every partition has some
    buried: set[bytes | None] = set()
    async with door(kafka, redis_url) as it:
        await it.send(BatchRequest("first", "noop", text="x"))
        await it.until(1)
        for key in everything:
            await it.publisher.publish_raw(BATCH_ENTRIES.name, key, garbage, {})
        of_another = batch_door(f"svc-{uuid4().hex[:8]}")
        async with kafka_admin(kafka) as admin:
            await admin.ensure_topics(of_another.topics)
        for n in range(JOB_PARTITIONS * 8):
            for topic in (of_another.results, BATCH_NOTES):
                await it.publisher.publish_raw(topic.name, b"\xff%d" % n, garbage, {})
        await it.send(BatchRequest("second", "noop", text="x"))
        await it.until(2)
        await it.end(signal.SIGKILL)
        await it.start()
        # Each is behind the garbage of its partition, whichever that is.
        await it.send(*(BatchRequest(f"after-{n}", "noop", text="x") for n in range(JOB_PARTITIONS * 8)))
        await it.until(2 + JOB_PARTITIONS * 8)
        assert await it.end(signal.SIGTERM) == 0
    async for batch in read_whole(kafka, [BATCH_ENTRIES.dead_letters]):
        buried |= {letter.key for letter in batch if letter.value == garbage}
    assert buried == everything


async def test_a_door_that_is_opened_while_others_are_read_is_found(kafka: str, redis_url: str) -> None:
    """`./gateway bench batch` tells how soon."""
    new = f"svc-{uuid4().hex[:8]}"
    async with door(kafka, redis_url) as it:
        await it.send(BatchRequest("before", "noop", text="x"))
        await it.until(1)
        async with kafka_admin(kafka) as admin:
            await admin.ensure_topics(batch_door(new).topics)
        await it.publisher.publish(SERVICES, new, ServiceSettings(new, batch=True))
        async with DoorClient(kafka, new) as client, asyncio.timeout(60):
            told = [reply.told async for reply in client.ask([BatchRequest("first", "no-such-module", text="x")])]
        await it.send(BatchRequest("after", "noop", text="x"))
        await it.until(2)
        assert it.process is not None
        assert it.process.returncode is None, "not by a new start"
        await it.publisher.publish_raw(SERVICES.name, new.encode(), None, {})
    assert [(one.request_id, one.code) for one in told if isinstance(one, BatchRejection)] == [
        ("first", "unknown_module")
    ]
    assert [answer.request_id for _, answer, _ in it.answers] == ["before", "after"]


async def test_a_door_that_was_closed_rejects_what_comes(kafka: str, redis_url: str) -> None:
    async with door(kafka, redis_url) as it:
        await it.send(BatchRequest("before", "noop", text="x"))
        await it.until(1)
        await it.publisher.publish_raw(SERVICES.name, it.service.encode(), None, {})
        sent = 1
        while not it.rejections:
            sent += 1
            await it.send(BatchRequest(f"r{sent}", "noop", text="x"))
            await it.until(sent)
    assert {r.code for r in it.rejections} == {"door_closed"}
    assert "before" in [a.request_id for _, a, _ in it.answers]


@pytest.mark.full
async def test_a_used_up_quota_makes_the_door_wait_and_refuses_nothing(kafka: str, redis_url: str) -> None:
    async with door(kafka, redis_url) as it:
        few = Allowance(quotas=Quotas(requests_per_minute=3))
        await it.publisher.publish(SERVICES, it.service, ServiceSettings(it.service, batch=True, allowance=few))
        await it.send(BatchRequest("r0", "noop", text="x"))
        await it.until(1)
        await it.send(*(BatchRequest(f"r{n}", "noop", text="x") for n in range(1, 8)))
        await it.until(3)
        assert len(it.answers) < 8
        await it.publisher.publish(SERVICES, it.service, ServiceSettings(it.service, batch=True))
        await it.until(8)
    assert not it.rejections
    assert sorted(a.request_id for _, a, _ in it.answers) == [f"r{n}" for n in range(8)]


@pytest.mark.full
async def test_a_used_up_budget_makes_the_door_wait_until_it_is_raised(
    kafka: str, redis_url: str, wait_until: WaitUntil
) -> None:
    """A short text is reckoned as some thousand tokens, so the budget is enough for two of eight."""
    url, port = own_database(redis_url, 4), free_port()
    redis = redis_client(url)
    await redis.flushdb()
    for p in range(JOB_PARTITIONS):
        await redis.set(redis_keys.usage_marker(p), "g 5 0")  # as metering does once its rows are in Redis
    async with door(kafka, url, Quotas(tokens_per_month=2_100), port) as it, httpx.AsyncClient(trust_env=False) as http:

        async def refused() -> float:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            found = re.search(rf'gateway_quota_refusals_total{{.*service="{it.service}".*}} (\S+)', text)
            return float(found[1]) if found else 0.0

        async def refused_again(before: float) -> bool:
            return await refused() > before

        await it.send(*(BatchRequest(f"r{n}", "noop", text="x") for n in range(8)))
        await it.until(2)
        before = await refused()
        await wait_until(lambda: refused_again(before))
        assert len(it.answers) == 2
        reserved = await redis.hget(redis_keys.quota_sums(it.service), "|tokens")
        assert 2_000 < int(reserved or 0) <= 2_100
        more = Allowance(quotas=Quotas(tokens_per_month=100_000))
        await it.publisher.publish(SERVICES, it.service, ServiceSettings(it.service, batch=True, allowance=more))
        await it.until(8)
    await redis.aclose()
    assert not it.rejections
    assert sorted(a.request_id for _, a, _ in it.answers) == [f"r{n}" for n in range(8)]


async def test_what_waited_for_a_quota_as_long_as_it_may_is_rejected(kafka: str, redis_url: str) -> None:
    """Retention would take it soon after, and nobody would be told. What is behind it goes on waiting."""
    async with door(kafka, redis_url, Quotas(requests_per_minute=0), writers_time=True) as it:
        now_ms, longest_ms = time.time_ns() // 1_000_000, LONGEST_DOOR_WAIT // timedelta(milliseconds=1)
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()
        for name, age_ms in (("long", longest_ms + 60_000), ("shorter", longest_ms - 3_600_000)):
            value = CODEC.encode(BatchRequest(name, "noop", text="x"))
            topic, at_ms = batch_door(it.service).requests.name, now_ms - age_ms
            await producer.send_and_wait(topic, value, partition=0, timestamp_ms=at_ms)
        await producer.stop()
        await it.until(1)
        assert [(r.request_id, r.code) for r in it.rejections] == [("long", "quota_exceeded")]
        assert f"waited {LONGEST_DOOR_WAIT.days} days" in it.rejections[0].message
        await it.publisher.publish(SERVICES, it.service, ServiceSettings(it.service, batch=True))
        await it.until(2)
    assert [a.request_id for _, a, _ in it.answers] == ["shorter"]


@pytest.mark.full
async def test_a_request_larger_than_the_whole_quota_is_rejected_and_holds_up_nobody(
    kafka: str, redis_url: str
) -> None:
    async with door(kafka, redis_url, Quotas(tokens_per_minute=5_000)) as it:
        await it.send(BatchRequest("large", "noop", text="x" * 100_000), BatchRequest("small", "noop", text="x"))
        await it.until(2)
    assert [(r.request_id, r.code) for r in it.rejections] == [("large", "quota_exceeded")]
    assert "this request may need" in it.rejections[0].message
    assert [a.request_id for _, a, _ in it.answers] == ["small"]


async def test_a_module_that_is_not_allowed_to_the_service_is_rejected(kafka: str, redis_url: str) -> None:
    async with door(kafka, redis_url) as it:
        other = Allowance(modules=("ocr",))
        await it.publisher.publish(SERVICES, it.service, ServiceSettings(it.service, batch=True, allowance=other))
        sent = 0
        while not it.rejections:
            sent += 1
            await it.send(BatchRequest(f"r{sent}", "noop", text="x"))
            await it.until(sent)
    assert len({r.code for r in it.rejections}) == 1
