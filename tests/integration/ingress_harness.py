"""Ingress for tests: the real application behind a real port, on real Kafka and Redis.

Job views are written by `ViewFolder`, a small stand-in for the job-state process: the same fold,
the same view and the same markers, without Faust's start-up time.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ingress.__main__ import KEEP_ALIVE_S, bounded_stack, connect
from ingress.app import create_app
from ingress.dependencies import Dependencies
from schemas.codec import Codec
from schemas.errors import Outage, UndecodableRecord
from schemas.events import ApiKey, JobEvent, JobResult
from schemas.job_state import JobState, fold
from schemas.job_view import job_view
from schemas.topics import API_KEYS, JOB_EVENTS, JOB_PARTITIONS, RESULTS
from streams import redis_keys
from streams.api_keys import make_key, revoked
from streams.redis_client import REDIS_FAILURES, redis_client
from streams.redis_keys import Marker, Offsets
from streams.settings import Settings
from streams.tables.view_json import encode_view
from tests.services import free_port
from tests.waiting import eventually

_TRIES = 5

ROOT = Path(__file__).resolve().parents[2]


def settings_for(kafka: str, redis_url: str, data_dir: Path, **more: str) -> Settings:
    """Return settings for a gateway of the test's own."""
    return Settings.from_env(
        {
            "GATEWAY_DATA_DIR": str(data_dir),
            "GATEWAY_KAFKA_BOOTSTRAP": kafka,
            "GATEWAY_REDIS_URL": redis_url,
            "GATEWAY_MODULES_DIR": str(ROOT / "modules"),
            "GATEWAY_NOOP": "1",
            "GATEWAY_MAX_UPLOAD_MIB": "2",
            "GATEWAY_HTTP_PORT": str(free_port()),
            **more,
        }
    )


class Ingress:
    """A running ingress with a client, and keys for it."""

    def __init__(self, dependencies: Dependencies, base_url: str) -> None:
        self.dependencies = dependencies
        self.base_url = base_url
        self.codec = Codec()
        self._records: dict[str, ApiKey] = {}

    async def key(self, service: str, scopes: tuple[str, ...] = ("jobs",), expires_in_ms: int | None = None) -> str:
        """Make a key and wait until ingress knows it."""
        now_ms = int(time.time() * 1000)
        expires = now_ms + expires_in_ms if expires_in_ms is not None else None
        record, key = make_key(service, scopes, expires, now_ms)
        self._records[key] = record
        await self._publish(record)
        return key

    async def revoke(self, key: str) -> None:
        """Revoke a key and wait until ingress knows it."""
        await self._publish(revoked(self._records[key], int(time.time() * 1000)))

    def client(self, key: str | None) -> httpx.AsyncClient:
        """Return a client that sends `key`."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(base_url=self.base_url, headers=headers, timeout=30, trust_env=False)

    async def _publish(self, record: ApiKey) -> None:
        for left in reversed(range(_TRIES)):
            try:
                await self.dependencies.publisher.publish(API_KEYS, record.key_id, record)
                break
            except Outage:  # a busy machine is late now and then; what is tested is not this
                if not left:
                    raise
        await eventually(lambda: self.dependencies.keys.get(record.key_id) == record, 20)


@asynccontextmanager
async def running_ingress(settings: Settings, env: Mapping[str, str] | None = None) -> AsyncGenerator[Ingress]:
    """Serve on the settings' port until the context ends; `env` holds the model servers' keys."""
    async with bounded_stack() as stack:
        dependencies = await connect(settings, stack, env)
        await eventually(lambda: dependencies.keys.loaded and dependencies.services.loaded, 20)
        async with served(dependencies, settings.http_port) as running:
            try:
                yield running
            finally:
                dependencies.closing.set()


@asynccontextmanager
async def served(dependencies: Dependencies, port: int) -> AsyncGenerator[Ingress]:
    """Serve the application over these dependencies on a port until the context ends."""
    config = uvicorn.Config(
        create_app(dependencies),
        port=port,
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await eventually(lambda: server.started, 20)
    try:
        yield Ingress(dependencies, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await serving


async def until_ready(client: httpx.AsyncClient) -> None:
    """Wait until a process that was just started serves and says that it is ready."""

    async def ready() -> bool:
        try:
            return (await client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(ready, 60)


class ViewFolder:
    """Folds every job's records into its view in Redis, as the job-state process does."""

    def __init__(self, kafka: str, redis_url: str) -> None:
        self._kafka = kafka
        self._redis = redis_client(redis_url)
        self._codec = Codec()
        self._states: dict[str, JobState] = {}
        self._folded = {(t, p): 0 for t in (JOB_EVENTS.name, RESULTS.name) for p in range(JOB_PARTITIONS)}
        self.running = asyncio.Event()
        self.running.set()
        self._closing = False

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, auto_offset_reset="earliest")
        await self._consumer.start()
        self._consumer.assign([TopicPartition(topic, number) for topic, number in self._folded])
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True  # a cancellation that meets Redis' own timeout is taken for an outage
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._consumer.stop()
        await self._redis.aclose()

    async def _follow(self) -> None:
        while not self._closing:
            await self.running.wait()
            fetched = await self._consumer.getmany(timeout_ms=20)
            for tp, records in fetched.items():
                for record in records:
                    self._fold(record)
                self._folded[tp.topic, tp.partition] = records[-1].offset + 1
            with contextlib.suppress(*REDIS_FAILURES):
                await self._write({r.key.decode() for records in fetched.values() for r in records if r.key})

    def _fold(self, record: ConsumerRecord) -> None:
        kind = JobEvent if record.topic == JOB_EVENTS.name else JobResult
        with contextlib.suppress(UndecodableRecord):
            value = self._codec.decode(record.value, kind)
            job_id = value.job.job_id
            self._states[job_id] = fold(self._states.get(job_id), value, record.offset)

    async def _write(self, job_ids: set[str]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        known = self._states if not await self._redis.exists(redis_keys.marker(0)) else job_ids & set(self._states)
        for job_id in known:
            view = job_view(job_id, self._states[job_id])
            pipe.set(redis_keys.job(job_id), encode_view(view))
            pipe.zadd(redis_keys.jobs(view.service), {job_id: view.job.created_at_ms})
            pipe.publish(redis_keys.changed(job_id), b"")
        for p in range(JOB_PARTITIONS):
            folded = Offsets(self._folded[JOB_EVENTS.name, p], self._folded[RESULTS.name, p])
            pipe.set(redis_keys.marker(p), Marker("test", folded).encode())
        await pipe.execute()


async def records(kafka: str, topic: str, job_id: str, kind: type) -> AsyncIterator[object]:
    """Yield what is on a topic now for one job."""
    codec = Codec()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        cluster = await consumer._client.fetch_all_metadata()
        partitions = [TopicPartition(topic, n) for n in cluster.partitions_for_topic(topic)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for tp, end in ends.items():
            while await consumer.position(tp) < end:
                batch = await consumer.getmany(tp, timeout_ms=1000)
                for record in batch.get(tp, []):
                    if record.key == job_id.encode():
                        yield codec.decode(record.value, kind)
    finally:
        await consumer.stop()


def own_database(redis_url: str, number: int) -> str:
    """Return the URL of another database of the same Redis, so that tests do not share keys."""
    return f"{redis_url.rpartition('/')[0]}/{number}"
