"""Requests of a newer gateway whose schema the log cannot tell of for a while."""

import pytest

from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import Lane, StageRequest
from schemas.topics import SCHEMAS
from streams.log.memory import MemoryLog, MemoryPublisher, MemoryTail
from streams.log.schema_reader import SchemaReader
from streams.runtime import reading
from streams.runtime.offsets import MAX_UNFINISHED
from streams.runtime.processor import Context, Result
from tests.builders import stage_request
from tests.newer_writer import NewerWriter
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil


@pytest.fixture(autouse=True)
def looks_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SCHEMAS_S", 0.01)


async def done_at_once(_: StageRequest, context: Context) -> Result:
    del context
    return Result(outputs=())


async def test_a_request_waits_while_the_log_does_not_tell_its_schema(wait_until: WaitUntil) -> None:
    """Nothing of it goes to the dead letters, no attempt is burned, and nobody else waits."""
    stage, schemas, newer, attempts = OneStage(), MemoryLog(), NewerWriter(StageRequest), list[int]()
    schemas.down = True

    async def handle(_: StageRequest, context: Context) -> Result:
        attempts.append(context.attempt)
        return Result(outputs=())

    topic = stage.topics.requests[Lane.INTERACTIVE]
    theirs, ours = stage_request(stage.topics.kind), stage_request(stage.topics.kind)
    key = theirs.job.job_id.encode()
    async with SchemaReader(MemoryTail(schemas, SCHEMAS.name), stage.codec) as decoder:
        await stage.publisher.publish_raw(topic.name, key, newer.write(theirs), {})
        async with stage.serve(stage.processor(handle), decoder=decoder) as (worker, _):
            await stage.ask(ours)
            await wait_until(stage.results)
            assert [result.job.job_id for result in stage.results()] == [ours.job.job_id]
            schemas.down = False
            await MemoryPublisher(schemas).publish(SCHEMAS, newer.schema.fingerprint, newer.schema)
            await wait_until(lambda: len(stage.results()) == 2)
            await wait_until(lambda: not any(held.works for held in worker.held.values()))
    assert attempts == [1, 1]
    assert not stage.log.records(topic.dead_letters)


async def test_a_window_full_of_them_is_no_stall_and_is_left_to_the_next_owner(wait_until: WaitUntil) -> None:
    """A worker that ended for it would only be started into the same outage."""
    stage, schemas, newer = OneStage(), MemoryLog(), NewerWriter(StageRequest)
    schemas.down = True

    processor, topic = stage.processor(done_at_once), stage.topics.requests[Lane.INTERACTIVE]
    requests = [stage_request(stage.topics.kind) for _ in range(MAX_UNFINISHED + 1)]
    for request in requests:  # under one key, so on one partition
        await stage.publisher.publish_raw(topic.name, b"k", newer.write(request), {})
    async with (
        SchemaReader(MemoryTail(schemas, SCHEMAS.name), stage.codec) as decoder,
        stage.serve(processor, decoder=decoder) as (first, _),
    ):
        await wait_until(lambda: first.in_work == MAX_UNFINISHED)
        await wait_until(lambda: any(held.backlog for held in first.held.values()))
        assert not first.should_progress
        async with stage.serve(processor, decoder=decoder):
            await wait_until(lambda: not first.in_work)
            schemas.down = False
            await MemoryPublisher(schemas).publish(SCHEMAS, newer.schema.fingerprint, newer.schema)
            await wait_until(lambda: len(stage.results()) == len(requests))
    assert {result.job.job_id for result in stage.results()} == {request.job.job_id for request in requests}
    assert not stage.log.records(topic.dead_letters)


async def test_the_outage_is_over_when_the_log_tells_that_there_is_no_such_schema(wait_until: WaitUntil) -> None:
    stage, schemas, newer = OneStage(), MemoryLog(), NewerWriter(StageRequest)
    schemas.down = True

    topic, request = stage.topics.requests[Lane.INTERACTIVE], stage_request(stage.topics.kind)
    async with SchemaReader(MemoryTail(schemas, SCHEMAS.name), Codec()) as decoder:
        with pytest.raises(Outage):
            await decoder.decode(newer.write(request), StageRequest)
        await stage.publisher.publish_raw(topic.name, b"k", newer.write(request), {})
        async with stage.serve(stage.processor(done_at_once), decoder=decoder) as (worker, _):
            await wait_until(lambda: worker.in_work)
            assert not stage.log.records(topic.dead_letters)
            schemas.down = False
            await wait_until(lambda: stage.log.records(topic.dead_letters))
