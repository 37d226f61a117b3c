"""Moments that are easily overlooked: cancelled by nobody or in an earlier epoch, in a rebalance, commits not told."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas.errors import Outage
from schemas.events import JobStatus, StageRequest
from streams.log.protocols import Committed, Partition
from streams.runtime.handling import Handling
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.offsets import decode_note
from streams.runtime.processor import Context, Result, RetryPolicy
from tests.builders import stage_request
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil

QUICK = RetryPolicy(attempts=3, backoff_s=0.01, backoff_limit_s=0.02)


async def test_a_handler_that_ends_as_cancelled_by_itself_is_tried_again(wait_until: WaitUntil) -> None:
    stage, seen = OneStage(), list[int]()

    async def handle(_: StageRequest, context: Context) -> Result:
        seen.append(context.attempt)
        if len(seen) == 1:
            raise asyncio.CancelledError  # as of a library's task that was cancelled
        return Result(outputs=())

    async with stage.serve(stage.processor(handle, retry=QUICK)):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
    assert seen == [1, 2]
    assert [result.status for result in stage.results()] == [JobStatus.DONE]


async def test_a_handler_that_always_does_is_given_up(wait_until: WaitUntil) -> None:
    stage = OneStage()

    async def handle(_: StageRequest, __: Context) -> Result:
        raise asyncio.CancelledError

    async with stage.serve(stage.processor(handle, retry=QUICK)):
        await stage.ask(stage_request(stage.topics.kind))
        await wait_until(stage.results)
    (result,) = stage.results()
    assert result.status == JobStatus.FAILED
    assert result.error is not None
    assert result.error.code == "internal_error"


async def test_writing_that_ends_as_cancelled_ends_the_worker_and_another_writes(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = OneStage()

    async def handle(_: StageRequest, __: Context) -> Result:
        return Result(outputs=())

    async def cancelled(*_: Any) -> None:
        raise asyncio.CancelledError

    async def broken() -> None:
        async with stage.serve(stage.processor(handle)) as (worker, _):
            await stage.ask(stage_request(stage.topics.kind))
            await wait_until(lambda: worker.stopping)

    with monkeypatch.context() as patch:
        patch.setattr(Handling, "publish_done", cancelled)
        with pytest.raises(RuntimeError, match="cancelled by nobody"):
            await broken()
    async with stage.serve(stage.processor(handle)):
        await wait_until(stage.results)


async def test_a_cancellation_does_not_hold_for_a_later_epoch(wait_until: WaitUntil) -> None:
    """The job failed as it was cancelled, and its dead letter was replayed."""
    stage, ran = OneStage(), list[int]()
    request = stage_request(stage.topics.kind)

    async def handle(asked: StageRequest, _: Context) -> Result:
        ran.append(asked.job.epoch)
        return Result(outputs=())

    async with stage.serve(stage.processor(handle)) as (worker, cancelled):
        cancelled.add(request.job.job_id, 0)
        await stage.ask(request, replace(request, job=replace(request.job, epoch=1)))
        await wait_until(stage.results)
        await wait_until(lambda: not any(held.works for held in worker.held.values()))
    assert ran == [1]


class Noting:
    """Children that note which attempt was committed when they were called."""

    def __init__(self, stage: OneStage) -> None:
        self._stage = stage
        self.attempts: list[int] = []

    async def call(self, function: str, args: tuple[object, ...], timeout_s: float, memory_bytes: int) -> object:
        """Note it and return nothing."""
        commits = self._stage.log.groups[f"processor.{self._stage.topics.kind}"].committed.values()
        notes = [decode_note(commit.offset, commit.metadata) for commit in commits]
        self.attempts.append(sum(sum(note.attempts.values()) for note in notes if note is not None))
        return None


async def test_an_attempt_is_committed_before_it_calls_though_a_rebalance_is_under_way(wait_until: WaitUntil) -> None:
    stage, began, go_on = OneStage(), asyncio.Event(), asyncio.Event()

    async def handle(_: StageRequest, context: Context) -> Result:
        began.set()
        await go_on.wait()
        await context.call("os:getpid")
        return Result(outputs=())

    processor, children = stage.processor(handle), Noting(stage)
    async with stage.serve(processor, stage.subscriber(processor), children) as (worker, _):
        await stage.ask(stage_request(stage.topics.kind))
        await began.wait()
        await worker.revoked(frozenset(worker.held))
        go_on.set()
        for _ in range(100):
            await asyncio.sleep(0)
        await worker.assigned({place: held.committed for place, held in worker.held.items()})
        await wait_until(stage.results)
    assert children.attempts == [1]


class Told:
    """An admin client whose broker tells of some partitions only."""

    def __init__(self, offsets: dict[TopicPartition, int]) -> None:
        self._offsets = offsets

    async def list_consumer_group_offsets(
        self, _group: str, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return what is told."""
        return {tp: OffsetAndMetadata(self._offsets[tp], "") for tp in partitions if tp in self._offsets}


async def test_commits_that_are_not_told_are_not_taken_for_none() -> None:
    here, there, fresh = (Partition("requests", number) for number in range(3))
    subscriber = KafkaSubscriber("nowhere:9", "group", ("requests",))
    told = {TopicPartition("requests", 0): 7, TopicPartition("requests", 2): -1}
    vars(subscriber)["_admin"] = Told(told)
    assert await subscriber.committed({here, fresh}) == {here: Committed(7, ""), fresh: None}
    with pytest.raises(Outage, match="did not tell"):
        await subscriber.committed({here, there})
