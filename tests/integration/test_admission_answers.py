"""Answers of a replica that has not seen a door yet: another one found it first and wrote what is to be answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from schemas.batch import BatchAnswer, BatchEntry
from schemas.codec import Codec
from schemas.events import JobRef, JobResult, Lane, Step
from schemas.payloads import text_payload
from schemas.topics import BATCH_ENTRIES, RESULTS, batch_door
from streams.admission.answers import Answerer
from streams.admission.pace import Pace
from streams.client import DoorClient
from streams.log.admin import kafka_admin
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.log.schema_reader import CodecDecoder
from streams.redis_client import redis_client
from streams.tables.partitions import job_partition
from tests.builders import job_ref
from tests.integration.ingress_harness import own_database

NO_QUOTAS: Any = SimpleNamespace(held=lambda _: None, adopt=lambda _: None)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@asynccontextmanager
async def answerer_without_doors(kafka: str, redis_url: str, reserver: Any = NO_QUOTAS) -> AsyncIterator[None]:
    """Run an answerer to which nobody has told of any door."""
    redis, stop = redis_client(own_database(redis_url, 5)), asyncio.Event()
    running = Answerer(kafka, Codec(), CodecDecoder(Codec()), frozenset, Pace(redis), reserver)
    task = asyncio.create_task(running.run(stop))
    try:
        yield
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            await task
        await redis.aclose()


async def test_a_door_that_this_replica_has_not_seen_is_answered_and_only_once(kafka: str, redis_url: str) -> None:
    service = f"svc-{uuid4().hex[:8]}"
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics(batch_door(service).topics)
    steps = (Step("noop", "noop"),)

    async with KafkaPublisher(kafka, delivery_timeout_s=30) as publisher, DoorClient(kafka, service) as client:

        async def entry(number: int, request_id: str) -> JobResult:
            """Play the door reader of the other replica, then the processor."""
            job = job_ref(service=service, lane=Lane.BULK)
            made = BatchEntry(job, request_id, 0, number, steps, (text_payload("x"),))
            await publisher.publish(BATCH_ENTRIES, job.job_id, made)
            return JobResult(f"{job.job_id}:0:result", job, "done", steps, result=text_payload(request_id))

        async def answers(*request_ids: str) -> list[str]:
            """Read until each of these was answered; return all that were, in order."""
            told: list[str] = []
            async for replies, _ in client.replies():
                told += [each.told.request_id for each in replies if isinstance(each.told, BatchAnswer)]
                if set(request_ids) <= set(told):
                    break
            return told

        first = await entry(0, "first")
        async with answerer_without_doors(kafka, redis_url), asyncio.timeout(60):
            await publisher.publish(RESULTS, first.job.job_id, first)
            assert await answers("first") == ["first"]

        # Who takes the partition over learns from the answers on the log what was answered, in this door too.
        async with answerer_without_doors(kafka, redis_url), asyncio.timeout(60):
            after = await entry(1, "after")
            while job_partition(after.job.job_id) != job_partition(first.job.job_id):  # behind the repeat
                after = await entry(1, "after")
            await publisher.publish_many([Outgoing(RESULTS, one.job.job_id, one, {}) for one in (first, after)])
            assert await answers("after") == ["first", "after"]


async def test_what_waits_for_its_start_or_its_answer_is_adopted_by_whoever_takes_it_over(
    kafka: str, redis_url: str
) -> None:
    """The process that reserved for it may be gone, and Redis may lose that."""
    service, steps = f"svc-{uuid4().hex[:8]}", (Step("noop", "noop"),)
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics(batch_door(service).topics)
    adopted = asyncio.Queue[str]()

    def held(entry: BatchEntry) -> str | None:
        return entry.request_id if entry.job.service == service else None

    def adopt(request_id: str | None) -> None:
        if request_id is not None:
            adopted.put_nowait(request_id)

    reserver = SimpleNamespace(held=held, adopt=adopt)
    async with KafkaPublisher(kafka, delivery_timeout_s=30) as publisher, DoorClient(kafka, service) as client:

        async def enter(number: int, request_id: str, job: JobRef) -> None:
            made = BatchEntry(job, request_id, 0, number, steps, (text_payload("x"),))
            await publisher.publish(BATCH_ENTRIES, job.job_id, made)

        done, started, waits = (job_ref(service=service, lane=Lane.BULK) for _ in range(3))
        await enter(0, "done", done)
        await enter(1, "started", started)
        async with answerer_without_doors(kafka, redis_url, reserver), asyncio.timeout(60):
            assert {await adopted.get(), await adopted.get()} >= {"started"}
            result = JobResult(f"{done.job_id}:0:result", done, "done", steps, result=text_payload("x"))
            await publisher.publish(RESULTS, done.job_id, result)
            async for replies, _ in client.replies():
                if any(isinstance(each.told, BatchAnswer) for each in replies):
                    break
        while not adopted.empty():
            adopted.get_nowait()
        await enter(2, "waits", waits)
        async with answerer_without_doors(kafka, redis_url, reserver), asyncio.timeout(60):
            found = {await adopted.get(), await adopted.get()}
        assert found == {"started", "waits"}
