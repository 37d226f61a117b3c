"""A submission that stands on the log twice, because its first answer was lost, is worked on once at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.errors import Permanent
from schemas.events import JobStatus, StageRequest, Usage
from schemas.usage_ledger import LedgerEntry, charged, fold_usage
from streams.runtime import attempts
from streams.runtime.processor import Context, Result
from streams.runtime.worker import Worker
from tests.builders import beside, job_ref, stage_request
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil

TOKENS = 24


def _again(request: StageRequest) -> StageRequest:
    """The same submission as a caller repeats it: made later."""
    job = replace(request.job, created_at_ms=request.job.created_at_ms + 500)
    return replace(request, job=job, requested_at_ms=request.requested_at_ms + 500)


def _all_done(worker: Worker) -> Callable[[], bool]:
    return lambda: (
        any(held.offsets for held in worker.held.values()) and not any(held.works for held in worker.held.values())
    )


def _ledger(stage: OneStage) -> LedgerEntry:
    entry = None
    for offset, event in enumerate(stage.usage()):
        entry = fold_usage(entry, event, offset)
    assert entry is not None
    return entry


async def test_a_request_that_comes_twice_at_once_is_worked_on_once(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin in one millisecond here, as they do when both came with one fetch: no two ends may bear one id."""
    monkeypatch.setattr(attempts, "_now_ms", lambda: 1_000)
    stage, worked = OneStage(), 0

    async def handle(_: StageRequest, __: Context) -> Result:
        nonlocal worked
        worked += TOKENS
        return Result(outputs=(), usage=Usage(completion_tokens=TOKENS))

    first = stage_request(stage.topics.kind)
    await stage.ask(first, _again(first), _again(first))
    async with stage.serve(stage.processor(handle, concurrency=4)) as (worker, _):
        await wait_until(stage.results)
        await wait_until(_all_done(worker))
        (held,) = (held for held in worker.held.values() if held.offsets)
        assert held.offsets is not None
        assert (held.offsets.committable, held.firsts) == (3, {})
    assert [result.status for result in stage.results()] == [JobStatus.DONE]
    told = sum(record.event.usage.completion_tokens for record in _ledger(stage).records)
    assert told == worked == TOKENS


async def test_one_that_comes_when_the_first_has_ended_is_worked_on_and_its_use_is_waste(
    wait_until: WaitUntil,
) -> None:
    stage, worked = OneStage(), 0

    async def handle(_: StageRequest, __: Context) -> Result:
        nonlocal worked
        worked += TOKENS
        await asyncio.sleep(0.002)
        return Result(outputs=(), usage=Usage(completion_tokens=TOKENS))

    first = stage_request(stage.topics.kind)
    async with stage.serve(stage.processor(handle)) as (worker, _):
        await stage.ask(first)
        await wait_until(stage.results)
        await wait_until(_all_done(worker))
        await stage.ask(_again(first))
        await wait_until(lambda: len(stage.results()) == 2)
    entry = _ledger(stage)
    assert sum(record.event.usage.completion_tokens for record in entry.records) == worked == 2 * TOKENS
    assert sum(record.event.usage.completion_tokens for record in charged(entry)) == TOKENS


async def test_the_end_of_the_first_is_that_of_its_repeat_whatever_it_is(wait_until: WaitUntil) -> None:
    stage, seen = OneStage(), list[str]()

    async def handle(request: StageRequest, _: Context) -> Result:
        seen.append(request.job.job_id)
        raise Permanent("it cannot be done", code="refused")

    first = stage_request(stage.topics.kind)
    await stage.ask(first, _again(first))
    async with stage.serve(stage.processor(handle)) as (worker, _):
        await wait_until(stage.results)
        await wait_until(_all_done(worker))
    assert seen == [first.job.job_id]
    assert [result.status for result in stage.results()] == [JobStatus.FAILED]


@pytest.mark.parametrize("of", ["another content", "a later epoch", "another step"])
async def test_what_is_no_repeat_has_an_end_of_its_own(wait_until: WaitUntil, of: str) -> None:
    stage, seen, go = OneStage(), 0, asyncio.Event()

    async def handle(_: StageRequest, __: Context) -> Result:
        nonlocal seen
        seen += 1
        await go.wait()
        return Result(outputs=())

    kind, job = stage.topics.kind, job_ref()
    first = stage_request(kind, "after", job=job)
    other = {
        "another content": stage_request(kind, "after", job=beside(job)),
        "a later epoch": stage_request(kind, "after", job=replace(job, epoch=1)),
        "another step": stage_request("before", kind, job=job, position=1),
    }[of]
    await stage.ask(first, other)
    async with stage.serve(stage.processor(handle, concurrency=4)) as (worker, _):
        await wait_until(lambda: seen == 2)
        go.set()
        await wait_until(_all_done(worker))


async def test_a_process_that_dies_with_the_first_leaves_it_to_the_next_and_the_repeat_to_nobody(
    wait_until: WaitUntil,
) -> None:
    stage, seen, finish = OneStage(), list[int](), asyncio.Event()

    async def handle(_: StageRequest, context: Context) -> Result:
        seen.append(context.attempt)
        await finish.wait()
        return Result(outputs=())

    processor = stage.processor(handle)
    first = stage_request(stage.topics.kind)
    await stage.ask(first, _again(first))
    async with stage.serve(processor) as (worker, _):
        await wait_until(lambda: len(seen) == 1)
        await worker.revoked(frozenset(worker.held))
        async with stage.serve(processor) as (second, _):
            await wait_until(lambda: len(seen) == 2)
            finish.set()
            await wait_until(stage.results)
            await wait_until(_all_done(second))
    assert seen == [1, 1]
    assert [result.status for result in stage.results()] == [JobStatus.DONE]
