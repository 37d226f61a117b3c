"""The blobs' collector as the metering process hosts it: a real process, a real folder, the services on the log."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind, Step
from schemas.ids import event_id
from schemas.payloads import BlobRef
from schemas.retention import longest_reference
from schemas.services import ServiceSettings
from schemas.topics import JOB_EVENTS, SERVICES, batch_door
from streams.log.admin import kafka_admin
from streams.log.kafka_publisher import KafkaPublisher
from streams.redis_client import redis_client
from streams.settings import Settings
from streams.storage.paths import aside_path, ref_path
from streams.storage.store import open_blob_store
from streams.tables.open_jobs import oldest_open_ms
from tests.builders import job_ref, now_ms
from tests.integration.ingress_harness import ViewFolder, own_database
from tests.integration.table_processes import TableProcess
from tests.waiting import WaitUntil

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

DAY_S = 86_400
LIFETIME_S = longest_reference(timedelta(seconds=Settings.from_env({}).job_ttl_seconds)).total_seconds()


class Folder:
    """A blob store in a folder, with blobs of any age."""

    def __init__(self, path: Path) -> None:
        self.path, self.store = path, open_blob_store(f"file:{path}")

    async def blob(self, service: str, name: str, age_s: float) -> BlobRef:
        """Store a blob that was last touched so long ago."""
        ref = await self.store.put_bytes(service, "text/plain", name.encode())
        then = time.time() - age_s
        os.utime(self.path / ref_path(ref), (then, then))
        return ref

    def place(self, ref: BlobRef) -> str:
        """Tell where a blob lies."""
        if (self.path / ref_path(ref)).is_file():
            return "kept"
        return "aside" if (self.path / aside_path(ref_path(ref))).is_file() else "destroyed"


async def wait_at_the_door(bootstrap: str, service: str, request: BatchRequest, age_s: float) -> None:
    """Put a request into a service's door, some time ago, where nobody reads it."""
    topic = replace(batch_door(service).requests, broker_time=False)
    async with kafka_admin(bootstrap) as admin:
        await admin.ensure_topics([topic])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    value, at_ms = Codec().encode(request), int((time.time() - age_s) * 1000)
    await producer.send_and_wait(topic.name, value, timestamp_ms=at_ms)
    await producer.stop()


@pytest.mark.full
async def test_metering_sets_aside_what_is_due_and_destroys_it_a_day_later(
    kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    folder, url = Folder(tmp_path / "data" / "blobs"), own_database(redis_url, 12)
    usual, brief = f"usual-{uuid4().hex[:8]}", f"brief-{uuid4().hex[:8]}"
    old, again, young = [
        await folder.blob(usual, name, age)
        for name, age in (("old", LIFETIME_S + DAY_S), ("again", LIFETIME_S + DAY_S), ("young", LIFETIME_S - DAY_S * 3))
    ]
    own = await folder.blob(brief, "three days old, of a service that keeps for one", 3 * DAY_S)
    waiting = f"waiting-{uuid4().hex[:8]}"
    needed = await folder.blob(waiting, "as old, for a job that waits for longer", 3 * DAY_S)
    door = f"door-{uuid4().hex[:8]}"
    asked = await folder.blob(door, "as old, for a request that waits at the door", 3 * DAY_S)
    blobs = (old, again, young, own, needed, asked)
    job = replace(job_ref(service=waiting), created_at_ms=now_ms() - 10 * DAY_S * 1000)
    async with KafkaPublisher(kafka) as publisher:
        await wait_at_the_door(kafka, door, BatchRequest("r1", "noop", blobs=(asked.sha256,)), age_s=3 * DAY_S)
        for service, days in ((usual, None), (brief, 1), (waiting, 1), (door, 1)):
            await publisher.publish(SERVICES, service, ServiceSettings(service, retention_days=days))
        steps = (Step("noop", "noop"),)
        accepted = JobEvent(event_id(job.job_id, 0, "accepted"), job, JobEventKind.ACCEPTED, steps, job.created_at_ms)
        await publisher.publish(JOB_EVENTS, job.job_id, accepted)

    def is_over(process: TableProcess) -> bool:
        """Tell whether the process has gone through the store, and told its metrics of it."""
        return process.readiness()["state"] != "no answer" and (
            process.metrics().get("gateway_blobs_round_timestamp_seconds", 0) > 0
        )

    redis = redis_client(url)

    async def waiting_is_shown() -> bool:
        return await oldest_open_ms(redis, waiting) == job.created_at_ms

    # The views tell which unfinished jobs need blobs of a service with a retention of its own.
    async with ViewFolder(kafka, url):
        await wait_until(waiting_is_shown)
        await redis.aclose()
        first = TableProcess("streams.metering", kafka, url, tmp_path)
        first.start()
        try:
            await wait_until(lambda: is_over(first), 90)
            assert [folder.place(blob) for blob in blobs] == ["aside", "aside", "kept", "aside", "kept", "kept"]
            assert (first.metrics()["gateway_blobs_kept"], first.metrics()["gateway_blobs_aside"]) == (3, 3)
        finally:
            first.end()
        assert await folder.store.get(old) == b"old", "who knows of it reads it still"
        assert await folder.store.touch(again), "as a replay does before it starts a job"

        later = TableProcess("tests.integration.metering_later", kafka, url, tmp_path)
        later.start()
        try:
            await wait_until(lambda: is_over(later), 90)
            assert [folder.place(blob) for blob in blobs] == ["destroyed", "kept", "kept", "destroyed", "kept", "kept"]
            figures = later.metrics()
            assert figures["gateway_blobs_destroyed_total"] == 2
            assert figures["gateway_blobs_put_back_total"] == 1
        finally:
            later.end()
