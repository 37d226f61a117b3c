"""A dead letter on a real log: listed once, replayed under the same job id, or dropped."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from schemas.dead_letters import Letter
from schemas.errors import InvalidInput, Permanent, UndecodableRecord
from schemas.events import StageRequest
from schemas.job_state import JobState, fold
from schemas.job_view import job_view
from schemas.topics import StageTopics
from streams.dead_letter_store import DeadLetterDesk, read_open_letters
from streams.runtime.processor import Context, Result
from streams.runtime.worker import Worker
from tests.builders import now_ms, own_stage, stage_request
from tests.integration.worker_harness import Bench, bench
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka


class Moody:
    """Fails until told to be good."""

    worker: Worker

    def __init__(self) -> None:
        self.good = False

    async def __call__(self, request: StageRequest, context: Context) -> Result:
        if not self.good:
            raise Permanent("it will not", code="moody")
        return Result(request.inputs)


@asynccontextmanager
async def failed_job(kafka: str) -> AsyncGenerator[tuple[Bench, Moody, StageRequest, DeadLetterDesk]]:
    """A job whose only step was given up, and the desk that looks after its letter."""
    stage, handler = own_stage(), Moody()
    async with bench(kafka, stage) as it, it.worker(handler) as worker:
        handler.worker = worker
        request = stage_request(stage.kind)
        await it.send(request, headers={"traceparent": b"t"})
        assert (await it.result(request)).status == "failed"
        yield it, handler, request, DeadLetterDesk(it.tools.publisher, it.tools.decoder, it.tools.codec, own(stage))


def own(stage: StageTopics) -> dict:
    return {topic.name: topic for topic in stage.requests.values()}


async def letters(it: Bench) -> list[Letter]:
    return await read_open_letters(it.bootstrap, own(it.stage))


def state_of(it: Bench, request: StageRequest) -> dict:
    """The job as callers would see it, folded from what is on the log."""
    state: JobState | None = None
    for offset, result in enumerate(it.records.results(request.job.job_id)):
        state = fold(state, result, offset)
    assert state is not None
    return job_view(request.job.job_id, state).document


async def test_the_job_is_failed_with_a_code_and_what_to_do(kafka: str) -> None:
    async with failed_job(kafka) as (it, _, request, _):
        error = state_of(it, request)["error"]
        assert error["code"] == "moody"
        assert "dlt replay" in error["remedy"]


async def test_a_replayed_letter_makes_the_job_done_under_its_old_id(kafka: str) -> None:
    async with failed_job(kafka) as (it, handler, request, desk):
        (letter,) = await letters(it)
        assert letter.job_id == request.job.job_id
        handler.good = True
        replayed = await desk.replay(letter, now_ms())
        assert replayed.epoch == 1
        results = await it.until(lambda: r if len(r := it.records.results(request.job.job_id)) == 2 else None)
        assert [(r.status, r.job.epoch) for r in results] == [("failed", 0), ("done", 1)]
        assert state_of(it, request)["status"] == "done"
        assert await letters(it) == []
        sent = [r for r in it.records.raw[it.stage.requests["interactive"].name] if r.key == letter.key]
        assert dict(sent[-1].headers) == {"traceparent": b"t"}


async def test_a_letter_that_fails_again_is_listed_again_and_a_second_replay_counts_on(kafka: str) -> None:
    async with failed_job(kafka) as (it, handler, request, desk):
        (letter,) = await letters(it)
        await desk.replay(letter, now_ms())
        await it.until(lambda: len(it.records.results(request.job.job_id)) == 2)
        (second,) = await letters(it)
        assert second.source != letter.source
        handler.good = True
        assert (await desk.replay(second, now_ms())).epoch == 2
        await it.until(lambda: len(it.records.results(request.job.job_id)) == 3)
        assert state_of(it, request)["status"] == "done"


async def test_replaying_a_letter_twice_gives_the_job_one_result(kafka: str, wait_until: WaitUntil) -> None:
    async with failed_job(kafka) as (it, handler, request, desk):
        (letter,) = await letters(it)
        handler.good = True
        await desk.replay(letter, now_ms())
        await it.until(lambda: len(it.records.results(request.job.job_id)) == 2)
        # A repeat that comes while the first is still kept is not run at all.
        await wait_until(lambda: not any(held.works for held in handler.worker.held.values()))
        await desk.replay(letter, now_ms())  # as after a crash before the mark
        results = await it.until(lambda: r if len(r := it.records.results(request.job.job_id)) == 3 else None)
        assert results[1].event_id == results[2].event_id
        usage = await it.until(lambda: u if len(u := it.records.usage(request.job.job_id)) == 3 else None)
        assert len({u.event_id for u in usage}) == 2


async def test_a_dropped_letter_is_off_the_list_and_its_job_stays_failed(kafka: str) -> None:
    async with failed_job(kafka) as (it, _, request, desk):
        (letter,) = await letters(it)
        await desk.drop(letter, now_ms())
        assert await letters(it) == []
        assert state_of(it, request)["status"] == "failed"


async def test_a_letter_written_again_by_a_repeat_is_listed_once(kafka: str) -> None:
    async with failed_job(kafka) as (it, _, _, _):
        (letter,) = await letters(it)
        await it.tools.publisher.publish_raw(
            f"{letter.source.topic}.dlt", letter.key, letter.value, dict(letter.headers)
        )
        (again,) = await letters(it)
        assert again.times == 2


async def test_what_cannot_be_decoded_is_not_put_back(kafka: str) -> None:
    stage = own_stage()
    topic = stage.requests["interactive"]
    async with bench(kafka, stage) as it, it.worker(Moody()):
        await it.tools.publisher.publish_raw(topic.name, b"k", b"garbage", {})
        await it.tools.publisher.publish_raw(topic.name, b"none", None, {})
        await it.until(lambda: len(it.records.raw[topic.dead_letters]) == 2)
        desk = DeadLetterDesk(it.tools.publisher, it.tools.decoder, it.tools.codec, own(stage))
        garbage, empty = sorted(await letters(it), key=lambda x: x.value is None)
        with pytest.raises(UndecodableRecord):
            await desk.replay(garbage, now_ms())
        with pytest.raises(InvalidInput):
            await desk.replay(empty, now_ms())
        assert await desk.decoded(garbage) is None
        assert len(await letters(it)) == 2
