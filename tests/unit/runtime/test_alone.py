"""A work that was twice in a process that died runs alone, until the log knows that it has ended."""

import asyncio
from collections.abc import Sequence

from schemas.codec import Codec
from schemas.topics import JOB_CONTROL, JOB_EVENTS, RESULTS, USAGE_EVENTS, Lane
from streams.log.memory import MemoryLog, MemoryPublisher, MemorySubscriber, MemoryTail
from streams.log.protocols import Committed, Outgoing, Partition, Raw
from streams.log.schema_reader import CodecDecoder
from streams.runtime.cancelled_jobs import CancelledJobs
from streams.runtime.children import ChildPool
from streams.runtime.handling import Tools
from streams.runtime.offsets import Note, decode_note, encode_note
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.worker import Worker, group_of
from streams.storage.fake import FakeBlobs
from tests.builders import own_stage, stage_request


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
    for request in (first, first):  # one key, and so one partition
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
