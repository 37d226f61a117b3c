"""One stage and its worker on the log in memory."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from aiokafka.partitioner import murmur2

from schemas.codec import Codec
from schemas.events import JobResult, Lane, StageRequest, UsageEvent
from schemas.topics import JOB_CONTROL, JOB_EVENTS, RESULTS, USAGE_EVENTS, StageTopics, dead_letter_topic
from streams.log.memory import Group, MemoryLog, MemoryPublisher, MemorySubscriber, MemoryTail
from streams.log.protocols import Committed, Decoder, Partition
from streams.log.schema_reader import CodecDecoder
from streams.runtime.cancelled_jobs import CancelledJobs
from streams.runtime.children import ChildPool
from streams.runtime.context import Children
from streams.runtime.handling import Tools
from streams.runtime.offsets import Note, encode_note
from streams.runtime.processor import Handler, Processor
from streams.runtime.solitude import Solitude
from streams.runtime.worker import Worker, group_of
from streams.storage.fake import FakeBlobs
from tests.builders import own_stage


class OneStage:
    """The log with the topics of one stage kind, and what came of its requests."""

    def __init__(self, *, done: bool = False) -> None:
        self.log, self.codec = MemoryLog(), Codec()
        self.topics: StageTopics = own_stage(done=done)
        self.publisher = MemoryPublisher(self.log, self.codec)
        for topic in (*self.topics.requests.values(), JOB_CONTROL, JOB_EVENTS, RESULTS, USAGE_EVENTS):
            self.log.create(topic)
        for topic in self.topics.requests.values():
            self.log.create(dead_letter_topic(topic))

    async def ask(self, *requests: StageRequest) -> None:
        """Put requests on the log."""
        for request in requests:
            await self.publisher.publish(self.topics.requests[Lane.INTERACTIVE], request.job.job_id, request)

    def results(self) -> list[JobResult]:
        """What is on `results`."""
        return [self.codec.decode(record.value or b"", JobResult) for record in self.log.records(RESULTS.name)]

    def usage(self) -> list[UsageEvent]:
        """What is on `usage.events`."""
        return [self.codec.decode(record.value or b"", UsageEvent) for record in self.log.records(USAGE_EVENTS.name)]

    def processor(self, handle: Handler, **more: object) -> Processor:
        """Return a processor of this stage."""
        return Processor(self.topics, handle, **more)

    def subscriber(self, processor: Processor) -> MemorySubscriber:
        """Return a new member of the group: the one before it loses its partitions."""
        topics: Sequence[str] = [topic.name for topic in self.topics.requests.values()]
        return MemorySubscriber(self.log, group_of(processor), topics)

    def died_with(self, *attempts: int, key: str) -> Partition:
        """Leave the commit of a member that died on the partition of `key`, with these attempts from offset 0 on."""
        topic = self.topics.requests[Lane.INTERACTIVE].name
        place = Partition(topic, (murmur2(key.encode()) & 0x7FFFFFFF) % len(self.log.partitions(topic)))
        note = Note(in_use=True, attempts={offset: count for offset, count in enumerate(attempts) if count})
        self.log.groups.setdefault(f"processor.{self.topics.kind}", Group()).committed[place] = Committed(
            0, encode_note(0, note)
        )
        return place

    @asynccontextmanager
    async def serve(
        self,
        processor: Processor,
        subscriber: MemorySubscriber | None = None,
        children: Children | None = None,
        solitude: Solitude | None = None,
        decoder: Decoder | None = None,
    ) -> AsyncGenerator[tuple[Worker, CancelledJobs]]:
        """Run a worker, and give it with what tells it of cancelled jobs; with others of its process by `solitude`."""
        decoder = decoder or CodecDecoder(self.codec)
        tail = MemoryTail(self.log, JOB_CONTROL.name)
        async with ChildPool(1) as pool, CancelledJobs(tail, decoder, self.publisher) as cancelled:
            tools = Tools(
                self.publisher,
                FakeBlobs(),
                children or pool,
                self.codec,
                decoder,
                cancelled,
                solitude=solitude or Solitude(),
            )
            members = subscriber or self.subscriber(processor)
            worker = Worker(processor, members, tools, stages={self.topics.kind: self.topics}, drain_s=1)
            running = asyncio.create_task(worker.run())
            try:
                yield worker, cancelled
            finally:
                worker.stop()
                await running
