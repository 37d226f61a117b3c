"""A request that retention removed before it was read ends its job, on real Kafka."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind, JobRef, JobResult, StageRequest
from schemas.job_state import fold
from schemas.topics import RESULTS, StageTopics
from streams.log.admin import kafka_admin
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.log.whole_topics import read_whole
from streams.tables.job_states import JobStates
from streams.tables.log_expiry import LogExpiry, Patience
from streams.tables.partitions import job_partition
from tests.builders import job_ref, now_ms, own_stage, stage_request

pytestmark = pytest.mark.kafka


def _request(stage: StageTopics, job: JobRef) -> StageRequest:
    return stage_request(stage.kind, job=job)


async def _results(kafka: str, job: JobRef) -> list[JobResult]:
    codec = Codec()
    return [
        codec.decode(record.value or b"", JobResult)
        async for batch in read_whole(kafka, (RESULTS.name,))
        for record in batch
        if record.key == job.job_id.encode()
    ]


async def test_a_job_whose_request_was_removed_unread_fails_and_its_neighbour_does_not(kafka: str) -> None:
    stage, codec = own_stage("expiring"), Codec()
    topic = stage.requests["interactive"]
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics(stage.requests.values())
    lost = job_ref()
    kept = next(job for job in iter(job_ref, None) if job_partition(job.job_id) == job_partition(lost.job_id))
    other = next(job for job in iter(job_ref, None) if job_partition(job.job_id) != job_partition(lost.job_id))
    states = JobStates({}, codec)
    async with KafkaPublisher(kafka, codec=codec) as publisher:
        expiry = LogExpiry(kafka, states, publisher, lambda: {stage.kind: stage}, now_ms, Patience(0, 0))
        for job in (lost, other):
            request = _request(stage, job)
            await publisher.publish(topic, job.job_id, request)
            accepted = JobEvent("e", job, JobEventKind.ACCEPTED, request.steps, now_ms())
            states.put(job_partition(job.job_id), job.job_id.encode(), fold(None, accepted, 0))
        assert await expiry.look() == 0, "everything is there"

        place = TopicPartition(topic.name, job_partition(lost.job_id))
        deleter = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await deleter.start()
        try:
            await deleter.delete_records({place: RecordsToDelete(before_offset=1)})
        finally:
            await deleter.close()
        await asyncio.sleep(0.002)  # a later millisecond than the lost job's
        request = _request(stage, kept)
        await publisher.publish_many([Outgoing(topic, kept.job_id, request, {})])
        accepted = JobEvent("e", kept, JobEventKind.ACCEPTED, request.steps, now_ms())
        states.put(job_partition(kept.job_id), kept.job_id.encode(), fold(None, accepted, 0))
        assert await expiry.look() == 1

        (result,) = await _results(kafka, lost)
        assert (result.status, result.error and result.error.code) == ("failed", "log_expired")
        assert result.error is not None
        assert result.error.stage == stage.kind
        assert topic.name in result.error.message
        assert await _results(kafka, kept) == await _results(kafka, other) == []
        before = states.get(lost.job_id.encode())
        states.put(job_partition(lost.job_id), lost.job_id.encode(), fold(before, result, 0))
        assert await expiry.look() == 0, "it has ended"
