"""Which records of the log a replay takes up, on real Kafka: every filter, and what stands among them that is none."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from schemas.codec import Codec
from schemas.events import JobRef, JobResult, Lane, StageOutcome, StageRequest, Step
from schemas.ids import event_id
from schemas.payloads import json_payload, text_payload
from schemas.replays import ReplayRequest
from schemas.topics import OCR, RESULTS, STAGES
from streams.log.kafka_publisher import KafkaPublisher
from streams.replay.planner import Plan, plan
from tests.builders import job_ref, now_ms

pytestmark = pytest.mark.kafka

STEPS = (Step("ocr", "ocr"), Step("gongmun.extract", "gongmun.extract"))
NO_JOB: frozenset[str] = frozenset()


class Past:
    """Letters of one service that were read at some time; nobody else's are counted."""

    def __init__(self, bootstrap: str, publisher: KafkaPublisher) -> None:
        self.bootstrap, self.publisher = bootstrap, publisher
        self.service = f"past-{uuid4().hex[:8]}"
        self.since_ms = now_ms()

    async def read(self, job: JobRef | None = None, *, ended: str = "", **of_job: object) -> JobRef:
        """A letter was read, and its job ended so."""
        job = replace(job or job_ref(service=self.service, module="gongmun"), **of_job)
        outcome = StageOutcome(
            event_id(job.job_id, job.epoch, "outcome", "ocr"), job, STEPS, 0, 1, (text_payload("x"),)
        )
        assert OCR.done is not None
        await self.publisher.publish(OCR.done, job.job_id, outcome)
        if ended:
            await self.end(job, ended)
        return job

    async def end(self, job: JobRef, status: str) -> None:
        """A job ended."""
        result = json_payload(b"{}") if status == "done" else None
        record = JobResult(event_id(job.job_id, job.epoch, "result"), job, status, STEPS, result=result)
        await self.publisher.publish(RESULTS, job.job_id, record)

    async def planned(self, purged: frozenset[str] = NO_JOB, **asked: object) -> Plan:
        """Plan a replay of this service's letters."""
        request = ReplayRequest("ocr.done", ("ocr.done",), "", self.since_ms, now_ms() + 1, service=self.service)
        return await plan(self.bootstrap, replace(request, **asked), STAGES, Codec(), purged)


@pytest.fixture
async def past(kafka: str) -> AsyncIterator[Past]:
    async with KafkaPublisher(kafka, delivery_timeout_s=30) as publisher:
        yield Past(kafka, publisher)


def originals(found: Plan) -> set[str]:
    """The jobs that are to be done again."""
    assert len({item.original for item in found.items}) == len(found.items), "each once"
    return {item.original for item in found.items}


async def test_a_service_and_a_module_narrow_it(past: Past) -> None:
    mine, other = await past.read(), await past.read(module="gongmun-translation")
    theirs = await past.read(service=f"{past.service}-x")
    everything = await past.planned()
    assert originals(everything) == {mine.job_id, other.job_id}
    assert everything.skipped["other_service"] >= 1
    found = await past.planned(of_module="gongmun")
    assert originals(found) == {mine.job_id}
    assert found.skipped["other_module"] == 1
    assert originals(await past.planned(service=theirs.service)) == {theirs.job_id}


async def test_a_status_is_the_one_that_holds(past: Past) -> None:
    """A job that failed and whose dead letter was replayed with success is done."""
    done, failed, again = [await past.read(ended=ended) for ended in ("done", "failed", "failed")]
    opened = await past.read()
    await past.end(replace(again, epoch=1), "done")
    assert originals(await past.planned(status="failed")) == {failed.job_id}
    assert originals(await past.planned(status="done")) == {done.job_id, again.job_id}
    assert opened.job_id in originals(await past.planned())


async def test_a_period_ends_before_its_end(past: Past) -> None:
    await past.read()
    border = now_ms() + 1
    while now_ms() <= border:
        pass
    late = await past.read()
    assert originals(await past.planned(since_ms=border)) == {late.job_id}
    assert late.job_id not in originals(await past.planned(until_ms=border))


async def test_a_limit_takes_the_oldest(past: Past) -> None:
    jobs = []
    for _ in range(3):
        before = now_ms()
        while now_ms() == before:
            pass
        jobs.append(await past.read())
    found = await past.planned(limit=2)
    assert originals(found) == {jobs[0].job_id, jobs[1].job_id}
    assert found.skipped["over_limit"] == 1


async def test_what_is_itself_a_replays_job_is_not_done_again(past: Past) -> None:
    original = await past.read()
    await past.read(job_ref(service=past.service, lane=Lane.REPLAY), replay_of=original.job_id)
    found = await past.planned()
    assert originals(found) == {original.job_id}
    assert found.skipped["of_a_replay"] >= 1


async def test_of_records_that_came_again_the_latest_epoch_counts_and_of_that_the_first(past: Past) -> None:
    job = await past.read()
    await past.read(job)
    again = await past.read(job, epoch=1)
    await past.read(again)
    found = await past.planned()
    (item,) = found.items
    end = await past.publisher.publish_raw("ocr.done", job.job_id.encode(), None, {})
    assert (item.original, item.offset) == (job.job_id, end - 2), "behind it stands its repeat"


async def test_garbage_among_the_records_is_counted_and_passed_over(past: Past) -> None:
    before = await past.read()
    for value in (b"garbage", b"\xc3\x01 no record of ours", None):
        for key in (before.job_id.encode(), b"\xff\xfe"):
            await past.publisher.publish_raw("ocr.done", key, value, {})
    # A good record of another kind.
    wrong = StageRequest("e1", before, STEPS, 0, (text_payload("x"),))
    await past.publisher.publish_raw("ocr.done", before.job_id.encode(), Codec().encode(wrong), {})
    after = await past.read()
    found = await past.planned()
    assert originals(found) == {before.job_id, after.job_id}
    assert found.skipped["undecodable"] == 7


async def test_jobs_that_were_purged_are_left_out(past: Past) -> None:
    gone, kept = await past.read(), await past.read()
    found = await past.planned(frozenset([gone.job_id]))
    assert originals(found) == {kept.job_id}
    assert found.skipped["purged"] == 1
