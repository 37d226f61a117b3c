"""What attempts used that do not count as attempts: an outage, a handover or a stop ended them."""

import asyncio
from contextlib import AsyncExitStack

from schemas.errors import Outage
from schemas.events import JobStatus, StageRequest, Usage, UsageEvent
from streams.runtime.processor import Context, Result, Wasted
from tests.builders import stage_request
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil


def told(events: list[UsageEvent]) -> list[tuple[int, bool, str, int]]:
    """Attempt, waste, outcome and prompt tokens of events, ordered."""
    return sorted((e.attempt, e.waste, e.outcome, e.usage.prompt_tokens) for e in events)


async def test_what_an_outage_ended_is_waste(wait_until: WaitUntil) -> None:
    """Each time, under an id of its own, and without what the next attempt finds kept."""
    stage, outages = OneStage(), [Outage("down", code="no_upstream"), Outage("down", code="no_upstream")]

    async def handle(_: StageRequest, context: Context) -> Result:
        kept = Usage(prompt_tokens=30)
        context.spent(Result((), Usage(prompt_tokens=40), kept, wasted=(Wasted(Usage(prompt_tokens=7)),)))
        if outages:
            raise outages.pop()
        return Result((), Usage(prompt_tokens=40))

    async with stage.serve(stage.processor(handle)):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
        await wait_until(lambda: len(stage.usage()) == 5)
    assert [result.status for result in stage.results()] == [JobStatus.DONE]
    assert told(stage.usage()) == [
        (1, False, "done", 40),
        (1, True, "failed", 7),
        (1, True, "failed", 7),
        (1, True, "failed", 10),
        (1, True, "failed", 10),
    ]
    assert len({event.event_id for event in stage.usage()}) == 5


async def test_an_outage_that_cost_time_alone_leaves_no_usage(wait_until: WaitUntil) -> None:
    """There may be one every few seconds for hours."""
    stage, outages = OneStage(), [Outage("down", code="no_upstream")]

    async def handle(_: StageRequest, context: Context) -> Result:
        context.spent(Result((), Usage(prompt_tokens=3), Usage(prompt_tokens=3)))
        if outages:
            raise outages.pop()
        return Result(())

    async with stage.serve(stage.processor(handle)):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
    assert told(stage.usage()) == [(1, False, "done", 0)]


async def test_what_a_handover_ended_is_waste(wait_until: WaitUntil) -> None:
    stage, seen = OneStage(), list[int]()

    async def handle(_: StageRequest, context: Context) -> Result:
        context.spent(Result((), Usage(prompt_tokens=40)))
        seen.append(context.attempt)
        if len(seen) < 2:
            await asyncio.Event().wait()
        return Result((), Usage(prompt_tokens=41))

    processor = stage.processor(handle)
    async with AsyncExitStack() as owners:
        await owners.enter_async_context(stage.serve(processor))
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(lambda: seen == [1])
        await owners.enter_async_context(stage.serve(processor))
        await wait_until(lambda: len(stage.usage()) == 2)
    assert told(stage.usage()) == [(1, False, "done", 41), (1, True, "failed", 40)]


async def test_what_the_end_of_the_process_broke_off_is_waste(wait_until: WaitUntil) -> None:
    stage, begun = OneStage(), asyncio.Event()

    async def handle(_: StageRequest, context: Context) -> Result:
        context.spent(Result((), Usage(prompt_tokens=40)))
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("broken off before")

    async with stage.serve(stage.processor(handle)):
        await stage.ask(stage_request(stage.topics.kind))
        await begun.wait()
    assert told(stage.usage()) == [(1, True, "failed", 40)]


async def test_what_was_kept_is_charged_to_a_job_that_is_cancelled_while_it_waits(wait_until: WaitUntil) -> None:
    stage = OneStage()

    async def handle(_: StageRequest, context: Context) -> Result:
        context.spent(Result((), Usage(prompt_tokens=40), Usage(prompt_tokens=30), model="m"))
        raise Outage("down", code="no_upstream")

    request = stage_request(stage.topics.kind)
    async with stage.serve(stage.processor(handle)) as (worker, cancelled):
        await stage.ask(request)
        await wait_until(lambda: worker.unavailable == "down")
        cancelled.add(request.job.job_id)
        await wait_until(lambda: any(event.final for event in stage.usage()))
    ends = [event for event in stage.usage() if event.final]
    assert [(e.outcome, e.waste, e.model, e.usage.prompt_tokens) for e in ends] == [("cancelled", False, "m", 30)]
