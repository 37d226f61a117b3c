"""What costs a request an attempt, a slot or its turn, and what must not."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from schemas.errors import Outage, Transient
from schemas.events import JobStatus, StageRequest, Usage
from schemas.usage_ledger import charged, fold_usage
from streams.log.memory import MemorySubscriber
from streams.log.protocols import Committed, Partition
from streams.runtime import turns
from streams.runtime.assignment import Work
from streams.runtime.offsets import MAX_UNFINISHED
from streams.runtime.processor import Context, Result, RetryPolicy
from streams.runtime.turns import Turns
from streams.runtime.watchdog import StalledError, watch_consumer
from tests.builders import beside, stage_request
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil


def of_model(request: StageRequest) -> str:
    """The name in a request's options."""
    return request.options


async def test_a_partition_that_goes_to_another_member_takes_no_attempt_with_it(wait_until: WaitUntil) -> None:
    """Owners in turn break the same work off; none of them died of it, so it is not given up."""
    stage, seen, finish = OneStage(), list[int](), asyncio.Event()

    async def handle(_: StageRequest, context: Context) -> Result:
        seen.append(context.attempt)
        await finish.wait()
        return Result(outputs=())

    processor = stage.processor(handle)
    await stage.ask(stage_request(stage.topics.kind))
    async with AsyncExitStack() as owners:
        for number in range(1, 6):
            await owners.enter_async_context(stage.serve(processor))
            await wait_until(lambda number=number: len(seen) == number)
        finish.set()
        await wait_until(stage.results)
    assert seen == [1, 1, 1, 1, 1]
    assert [result.status for result in stage.results()] == [JobStatus.DONE]


async def test_a_job_that_is_cancelled_as_it_starts_frees_its_slot(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancellation comes between the start of its task and the task's first step."""
    stage, ran = OneStage(), list[str]()
    first, second = stage_request(stage.topics.kind), stage_request(stage.topics.kind)
    begin = Turns.begin

    async def handle(request: StageRequest, _: Context) -> Result:
        ran.append(request.job.job_id)
        return Result(outputs=())

    async with stage.serve(stage.processor(handle, concurrency=1)) as (worker, cancelled):

        def begin_and_be_cancelled(turns: Turns, work: Work) -> None:
            begin(turns, work)
            if work.request.job.job_id == first.job.job_id:
                asyncio.get_running_loop().call_soon(cancelled.add, first.job.job_id)

        monkeypatch.setattr(Turns, "begin", begin_and_be_cancelled)
        await stage.ask(first)
        await wait_until(stage.usage)
        await stage.ask(second)
        await wait_until(stage.results)
        assert ran == [second.job.job_id]
        await wait_until(lambda: not any(held.works for held in worker.held.values()))


async def test_one_model_that_is_down_holds_back_its_own_requests_only(wait_until: WaitUntil) -> None:
    stage, served, is_down = OneStage(), list[str](), True

    async def handle(request: StageRequest, _: Context) -> Result:
        if request.options == "down" and is_down:
            raise Outage("no server has the model", code="no_upstream")
        served.append(request.options)
        return Result(outputs=())

    async with stage.serve(stage.processor(handle, concurrency=4, depends_on=of_model)) as (worker, _):
        await stage.ask(*(stage_request(stage.topics.kind, options="down") for _ in range(3)))
        await wait_until(lambda: worker.unavailable == "down: no server has the model")
        await stage.ask(*(stage_request(stage.topics.kind, options="up") for _ in range(50)))
        await wait_until(lambda: len(served) == 50)
        assert set(served) == {"up"}
        is_down = False
        await wait_until(lambda: len(served) == 53)
        await wait_until(lambda: not worker.unavailable)
    assert {result.status for result in stage.results()} == {JobStatus.DONE}


async def test_a_model_that_is_down_does_not_fill_the_window_of_its_partition(wait_until: WaitUntil) -> None:
    """However many of its requests stand before those of others, on the same partition."""
    stage, served, is_down, many = OneStage(), list[str](), True, 5 * MAX_UNFINISHED

    async def handle(request: StageRequest, context: Context) -> Result:
        assert context.attempt == 1
        if request.options == "down" and is_down:
            raise Outage("no server has the model", code="no_upstream")
        served.append(request.options)
        return Result(outputs=())

    first = stage_request(stage.topics.kind, options="down")
    async with stage.serve(stage.processor(handle, concurrency=4, depends_on=of_model)) as (worker, _):
        await stage.ask(
            first, *(stage_request(first.step.kind, job=beside(first.job), options="down") for _ in range(many))
        )
        await wait_until(lambda: worker.unavailable == "down: no server has the model")
        await stage.ask(*(stage_request(first.step.kind, job=beside(first.job), options="up") for _ in range(50)))
        await wait_until(lambda: len(served) == 50)
        assert set(served) == {"up"}
        is_down = False
        await wait_until(lambda: len(served) == 50 + 1 + many)
        await wait_until(lambda: not any(held.works for held in worker.held.values()))
        (place,) = (held for held in worker.held.values() if held.offsets is not None)
        assert place.offsets is not None
        assert place.offsets.committable == 50 + 1 + many


async def test_a_model_that_is_back_does_not_fill_the_window_with_what_waited_for_it(wait_until: WaitUntil) -> None:
    """Another service's single request on the partition takes its turn with them, it does not wait for them all."""
    stage, served, is_down, many = OneStage(), list[str](), True, 5 * MAX_UNFINISHED
    went_on = asyncio.Event()

    async def handle(request: StageRequest, _: Context) -> Result:
        if is_down:
            raise Outage("no server has the model", code="no_upstream")
        if len(served) == 10:
            await went_on.wait()
        served.append(request.job.service)
        return Result(outputs=())

    first = stage_request(stage.topics.kind)
    other = replace(first.job, service="other")
    async with stage.serve(stage.processor(handle, concurrency=1)) as (worker, _):
        await stage.ask(first, *(stage_request(first.step.kind, job=beside(first.job)) for _ in range(many)))
        await wait_until(lambda: sum(len(held.works) for held in worker.held.values()) == 1 + many)
        is_down = False
        await wait_until(lambda: len(served) == 10)
        await stage.ask(stage_request(first.step.kind, job=beside(other)))
        await wait_until(lambda: sum(len(held.works) for held in worker.held.values()) == 2 + many - 10)
        went_on.set()
        await wait_until(lambda: len(served) == 2 + many)
    assert served.index("other") <= 12


async def test_what_waits_for_a_model_that_is_down_has_a_bound(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it a request keeps its place in the window, so that memory is bounded."""
    monkeypatch.setattr(turns, "PARKED_BYTES", 100 * turns.WORK_BYTES)
    stage, is_down, served = OneStage(), True, 0

    async def handle(_: StageRequest, __: Context) -> Result:
        nonlocal served
        if is_down:
            raise Outage("nothing answers")
        served += 1
        return Result(outputs=())

    first = stage_request(stage.topics.kind)
    async with stage.serve(stage.processor(handle)) as (worker, _):
        await stage.ask(first, *(stage_request(stage.topics.kind, job=beside(first.job)) for _ in range(999)))
        await wait_until(lambda: sum(len(held.works) for held in worker.held.values()) > MAX_UNFINISHED)
        await wait_until(lambda: any(held.backlog for held in worker.held.values()))
        for _ in range(500):
            await asyncio.sleep(0)
        assert sum(len(held.works) for held in worker.held.values()) <= MAX_UNFINISHED + 100
        is_down = False
        await wait_until(lambda: served == 1000)


async def test_a_request_that_always_meets_an_outage_does_not_stop_the_others(wait_until: WaitUntil) -> None:
    """Of one dependency, too: the next probe is another request."""
    stage, served = OneStage(), list[str]()

    async def handle(request: StageRequest, _: Context) -> Result:
        if request.options == "bad":
            raise Outage("its blob store is away", code="blob_store_down")
        served.append(request.options)
        return Result(outputs=())

    async with stage.serve(stage.processor(handle, concurrency=2)) as (worker, _):
        await stage.ask(stage_request(stage.topics.kind, options="bad"))
        await wait_until(lambda: worker.unavailable == "its blob store is away")
        await stage.ask(*(stage_request(stage.topics.kind, options="good") for _ in range(20)))
        await wait_until(lambda: len(served) == 20)


async def test_a_job_that_waits_for_a_dependency_can_be_cancelled(wait_until: WaitUntil) -> None:
    stage = OneStage()

    async def handle(_: StageRequest, __: Context) -> Result:
        raise Outage("nothing answers")

    request = stage_request(stage.topics.kind)
    async with stage.serve(stage.processor(handle)) as (worker, cancelled):
        await stage.ask(request)
        await wait_until(lambda: worker.unavailable == "nothing answers")
        cancelled.add(request.job.job_id)
        await wait_until(lambda: not any(held.works for held in worker.held.values()))


class Uncommitted(MemorySubscriber):
    """Takes no commits while `is_down`."""

    is_down = False

    async def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Commit."""
        if self.is_down:
            raise Outage("the coordinator does not answer", code="kafka_down")
        await super().commit(offsets)


class AtOnce:
    """Children that answer at once."""

    async def call(self, function: str, args: tuple[object, ...], timeout_s: float, memory_bytes: int) -> object:
        """Return nothing."""
        return None


async def test_an_attempt_that_waits_for_the_log_does_not_run_out_of_time(wait_until: WaitUntil) -> None:
    stage, seen = OneStage(), list[int]()

    async def handle(_: StageRequest, context: Context) -> Result:
        seen.append(context.attempt)
        await context.call("os:getpid")
        return Result(outputs=())

    limit_s = 0.3
    processor = stage.processor(handle, attempt_timeout_s=limit_s)
    subscriber = Uncommitted(
        stage.log, f"processor.{stage.topics.kind}", [topic.name for topic in stage.topics.requests.values()]
    )
    async with stage.serve(processor, subscriber, AtOnce()):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)  # the first one opens the partition
        began = asyncio.get_running_loop().time()
        subscriber.is_down = True
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(lambda: len(seen) == 2)
        await wait_until(lambda: asyncio.get_running_loop().time() > began + 4 * limit_s)
        subscriber.is_down = False
        await wait_until(lambda: len(stage.results()) == 2)
    assert seen == [1, 1]
    assert {result.status for result in stage.results()} == {JobStatus.DONE}


async def test_work_that_waits_while_nothing_begins_or_ends_ends_the_process(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the fault (here a slot that is never freed): a process started anew does the work."""
    stage, limit_s = OneStage(), 0.05

    async def handle(_: StageRequest, __: Context) -> Result:
        return Result(outputs=())

    def keep_the_slot(_: Turns, work: Work) -> None:
        work.in_handler = False

    processor = stage.processor(handle, concurrency=1, attempt_timeout_s=limit_s)
    subscriber = stage.subscriber(processor)
    async with stage.serve(processor, subscriber) as (worker, _):
        watch = watch_consumer(worker, subscriber, stage.publisher, interval_s=0.01, stalled_s=0.1)
        watching = asyncio.create_task(watch)
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
        monkeypatch.setattr(Turns, "leave", keep_the_slot)
        await stage.ask(*(stage_request(stage.topics.kind) for _ in range(2)))
        with pytest.raises(StalledError, match=r"work waits, and none began or ended for 0\.05 s"):
            async with asyncio.timeout(20):
                await watching
    assert len(stage.results()) == 2


async def test_what_a_cancelled_attempt_had_used_is_metered(wait_until: WaitUntil) -> None:
    stage, tells = OneStage(), asyncio.Event()

    async def handle(_: StageRequest, context: Context) -> Result:
        context.spent(Result((), Usage(pages=2)))
        context.spent(Result((), Usage(pages=3, prompt_tokens=70, completion_tokens=9), model="m", upstream="u"))
        tells.set()
        await asyncio.Event().wait()
        raise AssertionError("cancelled before")

    request = stage_request(stage.topics.kind)
    async with stage.serve(stage.processor(handle)) as (_, cancelled):
        await stage.ask(request)
        await tells.wait()
        cancelled.add(request.job.job_id)
        await wait_until(stage.usage)
    (event,) = stage.usage()
    assert (event.outcome, event.final, event.waste) == ("cancelled", True, False)
    assert (event.model, event.upstream) == ("m", "u")
    assert (event.usage.pages, event.usage.prompt_tokens, event.usage.completion_tokens) == (3, 70, 9)


async def test_what_a_failed_attempt_had_used_is_waste_and_the_next_begins_at_nothing(wait_until: WaitUntil) -> None:
    stage = OneStage()

    async def handle(_: StageRequest, context: Context) -> Result:
        if context.attempt == 1:
            context.spent(Result((), Usage(pages=4)))
        raise Transient("it failed")

    retry = RetryPolicy(attempts=2, backoff_s=0.01)
    async with stage.serve(stage.processor(handle, retry=retry)):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
    used = {(event.attempt, event.waste): event.usage.pages for event in stage.usage()}
    assert used == {(1, True): 4, (2, False): 0}


async def test_the_waste_of_an_attempt_has_an_id_of_its_own(wait_until: WaitUntil) -> None:
    """Its owner dies before the attempt is committed, so the next one's attempt has the same number."""
    stage = OneStage()

    async def fails(_: StageRequest, context: Context) -> Result:
        context.spent(Result((), Usage(pages=4)))
        raise Transient("it failed")

    async def works(_: StageRequest, __: Context) -> Result:
        return Result((), Usage(pages=5))

    await stage.ask(stage_request(stage.topics.kind))
    async with stage.serve(stage.processor(fails, retry=RetryPolicy(backoff_s=60))):
        await wait_until(stage.usage)
    stage.log.groups.clear()
    async with stage.serve(stage.processor(works)):
        await wait_until(stage.results)
    entry = None
    for offset, event in enumerate(stage.usage()):
        entry = fold_usage(entry, event, offset)
    assert entry
    assert {(r.event.attempt, r.event.waste, r.event.usage.pages) for r in entry.records} == {
        (1, True, 4),
        (1, False, 5),
    }
    assert [r.event.usage.pages for r in charged(entry)] == [5]


async def test_an_attempt_that_is_made_again_after_its_end_was_written_leaves_both(wait_until: WaitUntil) -> None:
    """Its owner dies between the acknowledgement and the commit."""
    stage = OneStage()

    async def works(_: StageRequest, __: Context) -> Result:
        return Result((), Usage(pages=5))

    await stage.ask(stage_request(stage.topics.kind))
    for count in (1, 2):
        async with stage.serve(stage.processor(works)):
            await wait_until(lambda count=count: len(stage.results()) == count)
        stage.log.groups.clear()
    entry = None
    for offset, event in enumerate(stage.usage()):
        entry = fold_usage(entry, event, offset)
    assert entry
    assert [r.event.usage.pages for r in entry.records] == [5, 5]
    assert len({r.event.event_id for r in entry.records}) == 1
    assert [r.offset for r in charged(entry)] == [0]


async def test_a_job_that_is_cancelled_before_its_turn_is_counted_as_such(wait_until: WaitUntil) -> None:
    """Its first step may have used much: the record of its end is what makes it a request of the report."""
    stage = OneStage()

    async def handle(_: StageRequest, __: Context) -> Result:
        raise AssertionError("its turn never came")

    request = stage_request("ocr", stage.topics.kind, position=1)
    async with stage.serve(stage.processor(handle)) as (worker, cancelled):
        cancelled.add(request.job.job_id)
        await stage.ask(request)
        await wait_until(stage.usage)
        await wait_until(lambda: not any(held.works for held in worker.held.values()))
    (event,) = stage.usage()
    assert (event.step, event.outcome, event.final) == (stage.topics.kind, "cancelled", True)
    assert event.usage == Usage()
