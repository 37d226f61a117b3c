"""Work that takes as long as its input: its time begins anew with each step on, and what it kept is no waste."""

import asyncio
from dataclasses import replace

from schemas.errors import Transient
from schemas.events import JobStatus, StageRequest, Usage
from streams.runtime.processor import Context, Result, RetryPolicy
from tests.builders import stage_request
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil

ONCE = RetryPolicy(attempts=1)
LIMIT_S = 1.0
STEP_S = 0.15


async def test_an_attempt_that_gets_on_is_not_ended(wait_until: WaitUntil) -> None:
    """All its steps take longer than it may get nowhere."""
    stage = OneStage()

    async def handle(_: StageRequest, context: Context) -> Result:
        for done in range(1, 11):
            await asyncio.sleep(STEP_S)
            await context.progress(done, 10, "parts")
        return Result(outputs=())

    async with stage.serve(stage.processor(handle, retry=ONCE, attempt_timeout_s=LIMIT_S)):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
    assert [result.status for result in stage.results()] == [JobStatus.DONE]


async def test_an_attempt_that_says_the_same_again_and_again_is_ended(wait_until: WaitUntil) -> None:
    stage = OneStage()

    async def handle(_: StageRequest, context: Context) -> Result:
        while True:
            await context.progress(1, 10, "parts")
            await asyncio.sleep(0.01)

    async with stage.serve(stage.processor(handle, retry=ONCE, attempt_timeout_s=0.2)):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
    [result] = stage.results()
    assert result.error
    assert result.error.code == "work_timed_out"


async def test_what_an_attempt_kept_for_the_next_is_no_waste(wait_until: WaitUntil) -> None:
    """It is charged once, with the attempt that ends the request."""
    stage = OneStage()

    async def handle(_: StageRequest, context: Context) -> Result:
        kept = Usage(prompt_tokens=70, completion_tokens=9, work_seconds=2.0)
        if context.attempt == 1:
            context.spent(Result((), Usage(prompt_tokens=100, completion_tokens=10, work_seconds=2.5), kept))
            raise Transient("it failed")
        return Result((), kept, kept)

    async with stage.serve(stage.processor(handle, retry=RetryPolicy(attempts=2, backoff_s=0.01))):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
        await wait_until(lambda: len(stage.usage()) == 2)
    used = {event.waste: event.usage for event in stage.usage()}
    assert used[True] == Usage(prompt_tokens=30, completion_tokens=1, work_seconds=0.5)
    assert replace(used[False], bytes_in=0) == Usage(prompt_tokens=70, completion_tokens=9, work_seconds=2.0)
