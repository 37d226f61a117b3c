"""A work that was twice in a process that died runs alone, until the log knows that it has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from schemas.codec import Codec
from schemas.events import StageRequest
from schemas.topics import JOB_CONTROL, JOB_EVENTS, RESULTS, USAGE_EVENTS, Lane
from streams.log.memory import MemoryLog, MemoryPublisher, MemorySubscriber, MemoryTail
from streams.log.protocols import Committed, Outgoing, Partition, Raw
from streams.log.schema_reader import CodecDecoder
from streams.runtime.cancelled_jobs import CancelledJobs
from streams.runtime.children import ChildPool
from streams.runtime.handling import Tools
from streams.runtime.offsets import Note, decode_note, encode_note
from streams.runtime.processor import Context, Handler, Processor, Result
from streams.runtime.solitude import Solitude
from streams.runtime.worker import Worker, group_of
from streams.storage.fake import FakeBlobs
from tests.builders import beside, own_stage, stage_request
from tests.unit.runtime.in_memory import OneStage

WaitUntil = Callable[..., Awaitable[None]]


class SlowToTake(MemoryPublisher):
    """Holds results back until it is told to take them."""

    def __init__(self, log: MemoryLog, codec: Codec) -> None:
        super().__init__(log, codec)
        self.asked, self.takes = asyncio.Event(), asyncio.Event()

    async def publish_many(self, records: Sequence[Outgoing | Raw]) -> list[int]:
        """Write when it is time."""
        self.asked.set()
        await self.takes.wait()
        return await super().publish_many(records)


async def test_the_next_one_waits_until_the_end_of_the_first_is_committed() -> None:
    """Else a process that dies of the second would take the first, which is done, for the third time undone."""
    log, codec, stage = MemoryLog(), Codec(), own_stage()
    requests = stage.requests[Lane.INTERACTIVE]
    for topic in (requests, JOB_CONTROL, JOB_EVENTS, RESULTS, USAGE_EVENTS):
        log.create(topic)
    publisher = SlowToTake(log, codec)
    first = stage_request(stage.kind)
    for request in (first, replace(first, job=beside(first.job))):  # one key, and so one partition
        await MemoryPublisher(log, codec).publish(requests, first.job.job_id, request)
    place = next(Partition(requests.name, number) for number, held in enumerate(log.partitions(requests.name)) if held)
    begun: list[str] = []
    second = asyncio.Event()
    notes: list[Note] = []

    async def handle(_: object, context: Context) -> Result:
        committed = subscriber._group.committed[place]
        notes.append(decode_note(committed.offset, committed.metadata))
        begun.append(f"offset {committed.offset}")
        if len(begun) == 2:
            second.set()
        return Result(outputs=())

    processor = Processor(stage, handle, concurrency=4)
    subscriber = MemorySubscriber(log, group_of(processor), [requests.name])
    died_twice = Note(in_use=True, attempts={0: 2, 1: 2})
    subscriber._group.committed[place] = Committed(0, encode_note(0, died_twice))
    async with CancelledJobs(MemoryTail(log, JOB_CONTROL.name), CodecDecoder(codec), publisher) as cancelled:
        tools = Tools(publisher, FakeBlobs(), ChildPool(1), codec, CodecDecoder(codec), cancelled)
        worker = Worker(processor, subscriber, tools, stages={stage.kind: stage}, drain_s=5)
        running = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(20):
                await publisher.asked.wait()
                for _ in range(50):  # every chance to begin the second
                    await asyncio.sleep(0)
                assert begun == ["offset 0"]
                publisher.takes.set()
                await second.wait()
        finally:
            worker.stop()
            await running
    assert begun == ["offset 0", "offset 1"]
    assert notes[1].attempts == {1: 3}


async def test_what_may_kill_the_process_is_alone_among_all_its_workers(wait_until: WaitUntil) -> None:
    """Two stages in one process: neither the other's suspect nor its ordinary work is beside one that is alone."""
    solitude, inside, seen = Solitude(), set[str](), list[frozenset[str]]()
    stages = {"one": OneStage(), "two": OneStage()}
    requests = {name: [stage_request(stage.topics.kind) for _ in range(20)] for name, stage in stages.items()}

    def handler(name: str) -> Handler:
        async def handle(request: StageRequest, _: Context) -> Result:
            what = f"{name} {'suspect' if request.job.job_id == requests[name][0].job.job_id else request.job.job_id}"
            inside.add(what)
            for _step in range(30):
                seen.append(frozenset(inside))
                await asyncio.sleep(0)
            inside.discard(what)
            return Result(outputs=())

        return handle

    async with AsyncExitStack() as process:
        for name, stage in stages.items():
            stage.died_with(2, key=requests[name][0].job.job_id)
            await stage.ask(*requests[name])
        for name, stage in stages.items():
            await process.enter_async_context(stage.serve(stage.processor(handler(name)), solitude=solitude))
        await wait_until(lambda: all(len(stage.results()) == 20 for stage in stages.values()))
    assert any(len(together) > 1 for together in seen), "the others do run side by side"
    assert {together for together in seen if any("suspect" in what for what in together)} == {
        frozenset({"one suspect"}),
        frozenset({"two suspect"}),
    }


async def test_one_that_is_to_be_alone_and_is_cancelled_lets_the_others_go_on(wait_until: WaitUntil) -> None:
    solitude, gate = Solitude(), asyncio.Event()
    one, two = OneStage(), OneStage()
    suspect, long = stage_request(one.topics.kind), stage_request(two.topics.kind)
    one.died_with(2, key=suspect.job.job_id)

    async def never(_: StageRequest, __: Context) -> Result:
        raise AssertionError("it was cancelled")

    async def handle(request: StageRequest, _: Context) -> Result:
        if request.job.job_id == long.job.job_id:
            await gate.wait()
        return Result(outputs=())

    async with (
        two.serve(two.processor(handle), solitude=solitude) as (second, _),
        one.serve(one.processor(never), solitude=solitude) as (first, cancelled),
    ):
        await two.ask(long)
        await wait_until(lambda: second.in_work)
        await one.ask(suspect)
        await wait_until(lambda: not solitude.is_open_to(second))
        assert not first.should_progress, "it waits for the other worker's work"
        await two.ask(*(stage_request(two.topics.kind) for _ in range(5)))
        await wait_until(lambda: sum(len(held.works) for held in second.held.values()) == 6)
        assert not second.should_progress
        assert not two.results()
        cancelled.add(suspect.job.job_id)
        await wait_until(lambda: len(two.results()) == 5)
        gate.set()
        await wait_until(lambda: len(two.results()) == 6)


async def test_one_that_is_to_be_alone_and_goes_to_another_member_lets_the_others_go_on(wait_until: WaitUntil) -> None:
    solitude, gate = Solitude(), asyncio.Event()
    one, two = OneStage(), OneStage()
    suspect, long = stage_request(one.topics.kind), stage_request(two.topics.kind)
    one.died_with(2, key=suspect.job.job_id)

    async def handle(request: StageRequest, _: Context) -> Result:
        if request.job.job_id == long.job.job_id:
            await gate.wait()
        return Result(outputs=())

    processor = one.processor(handle)
    subscriber = one.subscriber(processor)
    async with (
        two.serve(two.processor(handle), solitude=solitude) as (second, _),
        one.serve(processor, subscriber, solitude=solitude),
    ):
        await two.ask(long)
        await wait_until(lambda: second.in_work)
        await one.ask(suspect)
        await wait_until(lambda: not solitude.is_open_to(second))
        await subscriber.lose()
        await two.ask(stage_request(two.topics.kind))
        await wait_until(lambda: len(two.results()) == 1)
        gate.set()
    assert solitude.in_handlers == 0
