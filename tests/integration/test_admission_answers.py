"""Answers of a replica that has not seen a door yet: another one found it first and wrote what is to be answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from aiokafka.errors import ProducerFenced

from schemas.batch import BatchAnswer, BatchEntry
from schemas.codec import Codec
from schemas.errors import UndecodableRecord
from schemas.events import ErrorInfo, JobRef, JobResult, Lane, Step
from schemas.payloads import text_payload
from schemas.topics import BATCH_ENTRIES, JOB_PARTITIONS, RESULTS, batch_door
from streams.admission.answers import Answerer
from streams.admission.pace import Pace
from streams.admission.partition import GROUP
from streams.admission.reading import jobs_consumer
from streams.admission.writing import bulk_producer
from streams.client import DoorClient
from streams.log.admin import kafka_admin
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Decoder, Outgoing
from streams.log.schema_reader import CodecDecoder
from streams.log.whole_topics import read_whole
from streams.redis_client import redis_client
from streams.tables.partitions import job_partition
from streams.tasks import end_tasks
from tests.builders import job_ref
from tests.integration.ingress_harness import own_database
from tests.integration.worker_harness import leave_behind
from tests.waiting import eventually

NO_QUOTAS: Any = SimpleNamespace(held=lambda _: None, adopt=lambda _: None)

T = TypeVar("T")

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@asynccontextmanager
async def answerer_without_doors(
    kafka: str, redis_url: str, reserver: Any = NO_QUOTAS, decoder: Decoder | None = None
) -> AsyncIterator[None]:
    """Run an answerer to which nobody has told of any door."""
    redis, stop = redis_client(own_database(redis_url, 5)), asyncio.Event()
    running = Answerer(
        kafka, Codec(), decoder or CodecDecoder(Codec()), frozenset, Pace(redis, lambda: False), reserver
    )
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


class Noting(CodecDecoder):
    """Notes which entries of a service are read."""

    def __init__(self, service: str) -> None:
        super().__init__(Codec())
        self.service = service
        self.read: list[str] = []

    async def decode(self, data: bytes, kind: type[T]) -> T:
        """Decode, and note an entry."""
        found = await super().decode(data, kind)
        if isinstance(found, BatchEntry) and found.job.service == self.service:
            self.read.append(found.request_id)
        return found


async def test_a_takeover_reads_what_is_open_and_still_knows_what_was_answered(kafka: str, redis_url: str) -> None:
    service, steps = f"svc-{uuid4().hex[:8]}", (Step("noop", "noop"),)
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics(batch_door(service).topics)
    jobs = {f"r{n}": job_ref(service=service, lane=Lane.BULK) for n in range(20)}
    while len({job_partition(job.job_id) for job in jobs.values()}) < JOB_PARTITIONS:
        jobs[f"r{len(jobs)}"] = job_ref(service=service, lane=Lane.BULK)
    opened = job_ref(service=service, lane=Lane.BULK)
    async with KafkaPublisher(kafka, delivery_timeout_s=30) as publisher, DoorClient(kafka, service) as client:

        async def enter(number: int, request_id: str, job: JobRef, refusal: ErrorInfo | None = None) -> None:
            made = BatchEntry(job, request_id, 0, number, steps, (text_payload("x"),), refusal=refusal)
            await publisher.publish(BATCH_ENTRIES, job.job_id, made)

        async def end(*ended: JobRef) -> None:
            made = [JobResult(f"{j.job_id}:0:result", j, "done", steps, result=text_payload("x")) for j in ended]
            await publisher.publish_many([Outgoing(RESULTS, each.job.job_id, each, {}) for each in made])

        async def told(count: int) -> list[tuple[str, str]]:
            """Return what was told from the first on, once it is so much."""
            found: list[tuple[str, str]] = []
            async for replies, _ in client.replies():
                every = [each.told for each in replies]
                found += [(one.request_id, one.status if isinstance(one, BatchAnswer) else one.code) for one in every]
                if len(found) >= count:
                    break
            return sorted(found)

        # What other tests left open stands below; it ends before this test's jobs do, in every partition.
        codec, left = Codec(), list[JobRef]()
        async for batch in read_whole(kafka, [BATCH_ENTRIES.name]):
            for record in batch:
                with suppress(UndecodableRecord):
                    left.append(codec.decode(record.value or b"", BatchEntry).job)
        await end(*left)
        for number, (request_id, job) in enumerate(jobs.items()):
            await enter(number, request_id, job)
        refused = job_ref(service=service, lane=Lane.BULK)
        await enter(100, "bad", refused, ErrorInfo("invalid_option", "why"))
        before = sorted([*((request_id, "done") for request_id in jobs), ("bad", "invalid_option")])
        async with answerer_without_doors(kafka, redis_url), asyncio.timeout(60):
            await end(*jobs.values())
            assert await told(len(before)) == before
            await enter(200, "open", opened)

        reading = Noting(service)
        async with answerer_without_doors(kafka, redis_url, decoder=reading), asyncio.timeout(60):
            await end(opened, *jobs.values())
            known = jobs["r7"]
            await enter(300, "again", known)
            await enter(301, "other", replace(known, input_digest="11" * 32))
            after = sorted([*before, ("open", "done"), ("other", "request_id_reused")])
            assert await told(len(after)) == after
        assert {*reading.read} == {"open", "again", "other"}, "what was settled is not read again"


async def test_who_was_fenced_meanwhile_does_not_go_on_with_what_it_knew(kafka: str, redis_url: str) -> None:
    """It stood still, and another had its partitions until it came back and got the same ones again."""
    redis, stop = redis_client(own_database(redis_url, 5)), asyncio.Event()
    answerer = Answerer(kafka, Codec(), CodecDecoder(Codec()), frozenset, Pace(redis, lambda: False), NO_QUOTAS)
    working = asyncio.create_task(answerer.run(stop))
    try:
        await eventually(lambda: answerer.ready, 60)
        for number in range(JOB_PARTITIONS):
            other = bulk_producer(kafka, f"{GROUP}-{number}")
            await other.start()
            await other.stop()
        visitor = jobs_consumer(kafka, GROUP)
        visitor.subscribe([BATCH_ENTRIES.name, RESULTS.name])
        await visitor.start()
        await visitor.stop()
        with pytest.raises(ProducerFenced):
            async with asyncio.timeout(60):
                await working
    finally:
        stop.set()
        await end_tasks(working)
        await redis.aclose()


async def test_a_started_job_is_answered_by_who_does_not_know_its_stage(kafka: str, redis_url: str) -> None:
    service, steps = f"svc-{uuid4().hex[:8]}", (Step("gone", "gone-since"),)
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics(batch_door(service).topics)
    job = job_ref(service=service, lane=Lane.BULK)
    async with KafkaPublisher(kafka, delivery_timeout_s=30) as publisher, DoorClient(kafka, service) as client:
        made = BatchEntry(job, "started", 0, 0, steps, (text_payload("x"),))
        await publisher.publish(BATCH_ENTRIES, job.job_id, made)
        await leave_behind(kafka, GROUP, [BATCH_ENTRIES, RESULTS])  # by the replica that started it
        result = JobResult(f"{job.job_id}:0:result", job, "done", steps, result=text_payload("x"))
        async with answerer_without_doors(kafka, redis_url), asyncio.timeout(60):
            await publisher.publish(RESULTS, job.job_id, result)
            async for replies, _ in client.replies():
                if replies:
                    break
    assert [(each.told.request_id, isinstance(each.told, BatchAnswer)) for each in replies] == [("started", True)]
