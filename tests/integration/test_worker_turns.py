"""Whose turn it is and how far a worker reads, on real Kafka."""

import asyncio

import pytest

from schemas.events import Lane, StageRequest
from streams.runtime import kafka_subscriber
from streams.runtime.offsets import MAX_UNFINISHED
from streams.runtime.processor import Context, Result
from streams.runtime.scheduling import SHARE
from tests.builders import beside, job_ref, own_stage, stage_request
from tests.integration.worker_harness import Gate, bench, partition_of_job
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka


async def test_one_slot_in_eight_is_bulk_s_and_services_take_turns(kafka: str, wait_until: WaitUntil) -> None:
    stage, gate = own_stage(), Gate()

    async def handler(request: StageRequest, context: Context) -> Result:
        await gate.enter(f"{request.job.lane} {request.job.service}")
        return Result(())

    async with bench(kafka, stage) as it, it.worker(handler, concurrency=1) as worker:
        await it.send(stage_request(stage.kind))
        await gate.until(lambda came: len(came) == 1)  # the slot is taken, the others wait
        flood = [stage_request(stage.kind, job=job_ref(service="flood")) for _ in range(6 * SHARE)]
        single = stage_request(stage.kind, job=job_ref(service="single"))
        bulk = [stage_request(stage.kind, job=job_ref(service="flood", lane=Lane.BULK)) for _ in range(2 * SHARE)]
        lone = stage_request(stage.kind, job=job_ref(service="single", lane=Lane.BULK))
        for request in (*flood, single):
            await it.send(request)
        for request in (*bulk, lone):
            await it.send(request, lane=Lane.BULK)
        every = 1 + len(flood) + len(bulk) + 2
        await wait_until(lambda: sum(len(held.works) for held in worker.held.values()) == every)
        gate.opened.set()
        await gate.until(lambda came: len(came) == every)
    turns = gate.came[1:]
    mixed = turns[: len(flood)]
    assert [turn for turn in mixed if turn.startswith(Lane.BULK)] == mixed[SHARE - 1 :: SHARE], "every eighth, no other"
    assert turns.index("interactive single") < 2
    bulk_turns = [turn for turn in turns if turn.startswith(Lane.BULK)]
    assert bulk_turns.index("bulk single") < 2


async def test_a_partition_that_stands_still_is_paused_alone_and_read_on_when_it_goes(
    kafka: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka fetches all partitions of a broker together: what is not taken of one would hold up the others."""
    monkeypatch.setattr(kafka_subscriber, "_PARTITION_FETCH_BYTES", 512)
    stage, gate, standing = own_stage(), asyncio.Event(), job_ref()
    stood, many = 0, 1500

    async def handler(request: StageRequest, context: Context) -> Result:
        nonlocal stood
        if request.job.job_id == standing.job_id:
            await gate.wait()
            stood += 1
        return Result(())

    async with bench(kafka, stage) as it:
        for _ in range(10):
            await it.send(*(stage_request(stage.kind, job=beside(standing)) for _ in range(many // 10)))
        async with it.worker(handler, concurrency=2 * MAX_UNFINISHED) as worker:
            await wait_until(lambda: any(held.paused for held in worker.held.values()))
            others = [stage_request(stage.kind) for _ in range(200)]
            await it.send(*others)
            (paused,) = (held for held in worker.held.values() if held.paused)
            read = paused.read_next
            for request in others:
                if partition_of_job(stage, request.job) != paused.partition.number:
                    assert (await it.result(request)).status == "done"
            assert [held for held in worker.held.values() if held.paused] == [paused]
            assert paused.read_next == read < many, "nothing more of it was read"
            assert len(paused.works) == MAX_UNFINISHED
            gate.set()
            await wait_until(lambda: stood == many)
            for request in others:
                assert (await it.result(request)).status == "done"
            assert not paused.paused
