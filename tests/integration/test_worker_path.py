"""The way of a request through a worker, on real Kafka."""

import pytest

from processors.noop import handle as noop
from schemas.errors import InvalidInput
from schemas.events import Lane, StageOutcome, StageRequest, Usage
from schemas.payloads import Payload, text_payload
from streams.runtime.processor import Context, Result
from tests.builders import beside, job_ref, own_stage, stage_request
from tests.integration.worker_harness import Gate, bench
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka


async def test_a_last_step_gives_result_event_and_usage_once(kafka: str) -> None:
    stage = own_stage()
    async with bench(kafka, stage) as it, it.worker(noop):
        request = stage_request(stage.kind)
        await it.send(request, headers={"traceparent": b"00-1-2-01", "other": b"x"})
        result = await it.result(request)
        job_id = request.job.job_id
        await it.until(lambda: it.records.events(job_id) and it.records.usage(job_id))
        assert (result.status, result.result, result.attempt) == ("done", text_payload("hello"), 1)
        assert [e.kind for e in it.records.events(job_id)] == ["done"]
        [usage] = it.records.usage(job_id)
        assert (usage.event_id, usage.outcome, usage.waste) == (f"{job_id}:0:{stage.kind}:1", "done", False)
        assert usage.usage.bytes_in == 5
        for topic in ("results", "job.events", "usage.events"):
            [record] = [r for r in it.records.raw[topic] if r.key == job_id.encode()]
            assert dict(record.headers) == {"traceparent": b"00-1-2-01"}


async def test_a_step_before_the_last_gives_outcome_and_next_request_in_the_jobs_lane(kafka: str) -> None:
    stage, following = own_stage("first", done=True), own_stage("second")

    async def read(request: StageRequest, context: Context) -> Result:
        return Result((text_payload("read"),), usage=Usage(pages=3), model="m")

    async with bench(kafka, stage, following) as it, it.worker(read):
        request = stage_request(stage.kind, following.kind, job=job_ref(lane=Lane.BULK))
        await it.send(request, lane=Lane.BULK)
        job_id, topic = request.job.job_id, following.requests[Lane.BULK]
        [passed] = await it.until(lambda: it.records.of(topic, StageRequest, job_id))
        assert (passed.position, passed.inputs, passed.usage.pages) == (1, (text_payload("read"),), 3)
        assert stage.done is not None
        [outcome] = await it.until(lambda: it.records.of(stage.done or "", StageOutcome, job_id))
        assert (outcome.model, outcome.usage.pages, outcome.attempt) == ("m", 3, 1)
        [event] = await it.until(lambda: it.records.events(job_id))
        assert (event.kind, event.step) == ("stage_done", stage.kind)


@pytest.mark.parametrize(("size", "kept"), [(8 * 1024, True), (8 * 1024 + 1, False)])
async def test_a_large_result_travels_as_a_blob(kafka: str, size: int, kept: bool) -> None:
    stage = own_stage()

    async def grow(request: StageRequest, context: Context) -> Result:
        return Result((Payload("text/plain", inline=b"x" * size),))

    async with bench(kafka, stage) as it, it.worker(grow):
        request = stage_request(stage.kind)
        await it.send(request)
        result = (await it.result(request)).result
        assert result is not None
        assert (result.inline is not None) == kept
        assert result.size == size
        if result.blob is not None:
            assert await it.blobs.get(result.blob) == b"x" * size


async def test_long_work_tells_its_start_and_its_progress(kafka: str) -> None:
    stage, gate = own_stage(), Gate()

    async def slow(request: StageRequest, context: Context) -> Result:
        await context.progress(1, 3, "pages")
        await gate.enter("slow")
        return Result(())

    async with bench(kafka, stage) as it, it.worker(slow):
        request = stage_request(stage.kind)
        await it.send(request)
        job_id = request.job.job_id
        await it.until(lambda: {e.kind for e in it.records.events(job_id)} == {"stage_started", "progress"})
        gate.opened.set()
        await it.result(request)
        await it.until(lambda: "done" in {e.kind for e in it.records.events(job_id)})
        progress = next(e.progress for e in it.records.events(job_id) if e.progress)
        assert (progress.done, progress.total, progress.unit) == (1, 3, "pages")


async def test_neighbours_finish_while_one_is_in_work_and_nothing_is_committed_past_it(
    kafka: str, wait_until: WaitUntil
) -> None:
    stage, gate = own_stage(), Gate()
    slow = stage_request(stage.kind, options='{"slow": true}')
    # The same job id for all: one partition.
    others = [stage_request(stage.kind, job=beside(slow.job)) for _ in range(20)]

    async def handler(request: StageRequest, context: Context) -> Result:
        if request.options != "{}":
            await gate.enter("slow")
        return Result(request.inputs)

    async with bench(kafka, stage) as it, it.worker(handler) as worker:
        await it.send(slow, *others)
        await it.until(lambda: len(it.records.results(slow.job.job_id)) == len(others))
        [held] = [h for h in worker.held.values() if h.works]
        first = held.works[0].offset
        await wait_until(lambda: held.committed is not None and len(held.committed.metadata) > 0)
        assert held.offsets is not None
        assert held.offsets.committable == first
        assert held.committed is not None
        assert held.committed.offset <= first
        gate.opened.set()
        await wait_until(lambda: held.committed is not None and held.committed.offset == first + 21)


async def test_what_was_finished_out_of_order_is_not_repeated_by_the_next_worker(kafka: str) -> None:
    stage, gate, done = own_stage(), Gate(), []
    slow = stage_request(stage.kind, options='{"slow": true}')
    others = [stage_request(stage.kind, job=beside(slow.job), options=f'{{"n": {n}}}') for n in range(20)]

    async def first(request: StageRequest, context: Context) -> Result:
        if "slow" in request.options:
            await gate.enter("slow")
        done.append(request.options)
        return Result(request.inputs)

    async def second(request: StageRequest, context: Context) -> Result:
        done.append(request.options)
        assert context.attempt == 1  # broken off by the drain, through no fault of its own
        return Result(request.inputs)

    async with bench(kafka, stage) as it:
        async with it.worker(first):
            await it.send(slow, *others)
            await it.until(lambda: len(it.records.results(slow.job.job_id)) == len(others))
        async with it.worker(second):
            await it.until(lambda: len(it.records.results(slow.job.job_id)) == len(others) + 1)
    assert sorted(done) == sorted([slow.options, *(o.options for o in others)])


async def test_sleep_of_noop_is_checked(kafka: str) -> None:
    stage = own_stage()
    async with bench(kafka, stage) as it, it.worker(noop):
        request = stage_request(stage.kind, options='{"sleep_ms": "long"}')
        await it.send(request)
        result = await it.result(request)
        assert result.error is not None
        assert (result.status, result.error.code) == ("failed", "invalid_option")


async def test_interactive_work_passes_a_bulk_backlog(kafka: str, wait_until: WaitUntil) -> None:
    stage, gate = own_stage(), Gate()

    async def handler(request: StageRequest, context: Context) -> Result:
        await gate.note(request.job.lane)
        await gate.opened.wait()
        return Result(())

    async with bench(kafka, stage) as it, it.worker(handler, concurrency=1) as worker:
        bulk = [stage_request(stage.kind, job=job_ref(lane=Lane.BULK)) for _ in range(30)]
        await it.send(*bulk, lane=Lane.BULK)
        await gate.until(lambda came: len(came) == 1)
        urgent = stage_request(stage.kind)
        await it.send(urgent)
        await wait_until(
            lambda: any(w.lane == Lane.INTERACTIVE for h in worker.held.values() for w in h.works.values())
        )
        gate.opened.set()
        await it.result(urgent)
        assert gate.came.index(Lane.INTERACTIVE) <= 2


async def test_invalid_input_is_not_repeated(kafka: str) -> None:
    stage, attempts = own_stage(), []

    async def refuse(request: StageRequest, context: Context) -> Result:
        attempts.append(context.attempt)
        raise InvalidInput("no page", code="no_pages", remedy="send one")

    async with bench(kafka, stage) as it, it.worker(refuse):
        request = stage_request(stage.kind)
        await it.send(request)
        result = await it.result(request)
        assert result.error is not None
        assert (result.error.code, result.error.remedy, result.error.stage) == ("no_pages", "send one", stage.kind)
        assert attempts == [1]
