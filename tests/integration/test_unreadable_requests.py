"""A request that no processor can decode ends its job, on real Kafka."""

import pytest

from schemas.codec import Codec
from schemas.dead_letters import Settlement, settling_headers
from schemas.errors import Permanent
from schemas.events import JobEvent, JobEventKind, JobRef, UsageEvent
from schemas.job_state import fold
from schemas.topics import USAGE_EVENTS, StageTopics
from streams.dead_letter_store import DeadLetterDesk, read_open_letters
from streams.runtime.processor import Context, Result
from streams.tables.job_states import JobStates
from streams.tables.partitions import job_partition
from streams.tables.unreadable import UnreadableRequests
from tests.builders import job_ref, now_ms, own_stage, stage_request
from tests.integration.worker_harness import Bench, bench

pytestmark = pytest.mark.kafka


async def done(request: object, context: Context) -> Result:
    """Do nothing."""
    return Result(())


class Table:
    """The jobs of one replica, and what looks after their unreadable requests."""

    def __init__(self, it: Bench, stage: StageTopics) -> None:
        self.it, self.stage, self.states = it, stage, JobStates({}, Codec())
        self.unreadable = UnreadableRequests(
            it.bootstrap, self.states, it.tools.publisher, lambda: {stage.kind: stage}, now_ms
        )

    def accept(self, job: JobRef) -> None:
        """Fold the acceptance of a job that waits for its first step."""
        steps = stage_request(self.stage.kind, "after", job=job).steps
        accepted = JobEvent("e", job, JobEventKind.ACCEPTED, steps, now_ms())
        self.states.put(job_partition(job.job_id), job.job_id.encode(), fold(None, accepted, 0))

    async def end(self, job: JobRef) -> None:
        """Fold the job's result."""
        result = (await self.it.until(lambda: self.it.records.results(job.job_id)))[0]
        key = job.job_id.encode()
        self.states.put(job_partition(job.job_id), key, fold(self.states.get(key), result, 0))


async def bury(it: Bench, stage: StageTopics, *jobs: JobRef) -> None:
    """Put what nobody can decode on the stage's topic under these keys, and wait until it is buried."""
    topic = stage.requests["interactive"]
    before = len(it.records.raw[topic.dead_letters])
    for job in jobs:
        await it.tools.publisher.publish_raw(topic.name, job.job_id.encode(), b"\xc3\x01unknown!body", {})
    await it.until(lambda: len(it.records.raw[topic.dead_letters]) == before + len(jobs))


async def test_a_job_whose_request_cannot_be_decoded_fails_with_the_letters_code(kafka: str) -> None:
    stage = own_stage()
    async with bench(kafka, stage) as it, it.worker(done):
        table, other = Table(it, stage), Table(it, stage)
        job, neighbour, elsewhere = job_ref(), job_ref(), job_ref()
        table.accept(job)
        table.accept(neighbour)
        other.accept(elsewhere)
        await bury(it, stage, job, elsewhere)
        assert await table.unreadable.look() == 1
        (result,) = await it.until(lambda: it.records.results(job.job_id))
        assert (result.status, result.error and result.error.code) == ("failed", "unknown_schema")
        assert result.error is not None
        assert result.error.stage == stage.kind
        assert f"./gateway dlt replay {stage.requests['interactive'].name}/" in result.error.remedy
        events = await it.until(lambda: it.records.events(job.job_id))
        assert [(event.kind, event.error) for event in events] == [("failed", result.error)]
        (used,) = await it.until(lambda: it.records.of(USAGE_EVENTS, UsageEvent, job.job_id))
        assert (used.step, used.outcome, used.final, used.usage.pages) == (stage.kind, "failed", True, 0)
        await table.end(job)
        assert await table.unreadable.look() == 0, "it has ended"
        assert await other.unreadable.look() == 1, "each replica ends its own"
        assert not it.records.results(neighbour.job_id)


async def test_an_acceptance_that_comes_after_the_letter_is_not_missed(kafka: str) -> None:
    stage = own_stage()
    async with bench(kafka, stage) as it, it.worker(done):
        table, job = Table(it, stage), job_ref()
        await bury(it, stage, job)
        assert await table.unreadable.look() == 0
        table.accept(job)
        assert await table.unreadable.look() == 1


async def test_the_end_of_the_step_before_may_be_seen_later_than_the_letter(kafka: str) -> None:
    first, stage = own_stage("first", done=True), own_stage()
    async with bench(kafka, stage, first) as it, it.worker(done):
        table, job = Table(it, stage), job_ref()
        table.unreadable = UnreadableRequests(
            kafka, table.states, it.tools.publisher, lambda: {first.kind: first, stage.kind: stage}, now_ms
        )
        steps, key = stage_request(first.kind, stage.kind, job=job).steps, job.job_id.encode()
        state = fold(None, JobEvent("e", job, JobEventKind.ACCEPTED, steps, now_ms()), 0)
        table.states.put(job_partition(job.job_id), key, state)
        await bury(it, stage, job)
        assert await table.unreadable.look() == 0
        ended = JobEvent("f", job, JobEventKind.STAGE_DONE, steps, now_ms(), step=first.kind, attempt=1)
        table.states.put(job_partition(job.job_id), key, fold(state, ended, 1))
        assert await table.unreadable.look() == 1
        (result,) = await it.until(lambda: it.records.results(job.job_id))
        assert result.error is not None
        assert result.error.stage == stage.kind


async def test_a_letter_that_was_replayed_ends_no_job_and_one_that_was_dropped_does(kafka: str) -> None:
    stage = own_stage()
    topics = {topic.name: topic for topic in stage.requests.values()}
    async with bench(kafka, stage) as it, it.worker(done):
        table, replayed, dropped = Table(it, stage), job_ref(), job_ref()
        await bury(it, stage, replayed, dropped)
        desk = DeadLetterDesk(it.tools.publisher, it.tools.decoder, it.tools.codec, topics)
        for letter in await read_open_letters(kafka, topics):
            if letter.job_id == dropped.job_id:
                await desk.drop(letter, now_ms())
            else:
                mark = settling_headers(letter.source, Settlement.REPLAYED, now_ms())
                await it.tools.publisher.publish_raw(f"{letter.source.topic}.dlt", letter.key, None, mark)
        table.accept(replayed)
        table.accept(dropped)
        assert await table.unreadable.look() == 1
        await it.until(lambda: it.records.results(dropped.job_id))
        assert not it.records.results(replayed.job_id)


async def test_a_job_whose_work_was_given_up_is_left_to_the_runtime(kafka: str) -> None:
    """Its letter says whose it was: the runtime could read it, and has ended the job itself."""
    stage = own_stage()

    async def fail(request: object, context: Context) -> Result:
        raise Permanent("it will not", code="moody")

    async with bench(kafka, stage) as it, it.worker(fail):
        table, request = Table(it, stage), stage_request(stage.kind)
        table.accept(request.job)
        await it.send(request)
        await it.result(request)
        assert await table.unreadable.look() == 0
