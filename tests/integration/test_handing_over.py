"""Partitions that come back with a rebalance: what ends before their owner knows them makes room for nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import pytest

from schemas.events import Lane, StageRequest
from schemas.topics import RESULTS
from streams.log.protocols import Committed, LogRecord, Partition
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.processor import Context, Result
from tests.builders import beside, job_ref, own_stage, stage_request
from tests.integration.worker_harness import bench, partition_of_job
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

MANY, WINDOW, LEFT = 400, 64, 70


async def test_nothing_is_read_and_thrown_away_while_partitions_are_handed_over(
    kafka: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, permits = own_stage(), asyncio.Semaphore(0)
    began, go_on, polls = asyncio.Event(), asyncio.Event(), 0
    committed, poll = KafkaSubscriber.committed, KafkaSubscriber.poll
    calls: list[KafkaSubscriber] = []

    async def slow(self: KafkaSubscriber, partitions: AbstractSet[Partition]) -> dict[Partition, Committed | None]:
        calls.append(self)
        found = await committed(self, partitions)
        if self is calls[0] and len(calls) > 1:  # the first member learns of the second one
            began.set()
            await go_on.wait()
        return found

    async def counted(self: KafkaSubscriber, timeout_s: float) -> Mapping[Partition, Sequence[LogRecord]]:
        nonlocal polls
        fetched = await poll(self, timeout_s)
        polls += self is calls[0]
        return fetched

    async def handle(request: StageRequest, _: Context) -> Result:
        await permits.acquire()
        return Result(request.inputs)

    async def second() -> None:
        async with it.worker(handle):
            await done.wait()

    def may_end(count: int) -> None:
        for _ in range(count):
            permits.release()

    monkeypatch.setattr(KafkaSubscriber, "committed", slow)
    monkeypatch.setattr(KafkaSubscriber, "poll", counted)
    # Who was there first keeps the lower half of the partitions.
    job = next(job for job in iter(job_ref, None) if partition_of_job(stage, job) < 4)
    requests = [stage_request(stage.kind, job=beside(job)) for _ in range(MANY)]
    place = Partition(stage.requests[Lane.INTERACTIVE].name, partition_of_job(stage, job))
    async with bench(kafka, stage) as it, it.worker(handle, concurrency=WINDOW) as worker:
        await it.send(*requests)
        await wait_until(lambda: len(worker.held[place].backlog) == MANY - WINDOW and worker.held[place].paused)
        may_end(MANY - WINDOW - LEFT)
        await wait_until(lambda: len(worker.held[place].backlog) == LEFT)
        done = asyncio.Event()
        joining = asyncio.create_task(second())
        await began.wait()
        may_end(LEFT // 2)  # so few are left that reading would go on
        await wait_until(lambda: len(worker.held[place].backlog) < LEFT)
        polls = 0
        await wait_until(lambda: polls > 1)
        go_on.set()
        may_end(2 * MANY)
        await it.until(lambda: sum(r.key == job.job_id.encode() for r in it.records.raw[RESULTS.name]) >= MANY)
        ended = {result.job.input_digest for result in it.records.results(job.job_id)}
        assert ended == {request.job.input_digest for request in requests}
        done.set()
        await joining
