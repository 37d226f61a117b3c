"""A worker on real Kafka for a test: stage topics of its own, and the records that follow from its work."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.codec import Codec
from schemas.events import JobEvent, JobRef, JobResult, Lane, StageRequest, UsageEvent
from schemas.topics import (
    JOB_CONTROL,
    JOB_EVENTS,
    RESULTS,
    SCHEMAS,
    USAGE_EVENTS,
    StageTopics,
    Topic,
    dead_letter_topic,
)
from streams.log.admin import kafka_admin
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import Outgoing
from streams.log.schema_reader import SchemaReader
from streams.log.topic_partitions import partition_of
from streams.runtime.cancelled_jobs import CancelledJobs
from streams.runtime.children import ChildPool
from streams.runtime.handling import Tools
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.processor import Handler, Processor, RetryPolicy
from streams.runtime.worker import Worker, group_of
from streams.storage.fake import FakeBlobs

T = TypeVar("T")

GARBAGE = b"\xc3\x01 no record of ours"
QUICK = RetryPolicy(attempts=3, backoff_s=0.05, backoff_limit_s=0.1)


@dataclass
class Records:
    """What was written for the jobs of a test, by topic and job id."""

    raw: dict[str, list[ConsumerRecord[bytes, bytes]]] = field(default_factory=lambda: defaultdict(list))
    codec: Codec = field(default_factory=Codec)

    def of(self, topic: Topic | str, kind: type[T], job_id: str) -> list[T]:
        """The records of one job on a topic."""
        name = topic if isinstance(topic, str) else topic.name
        return [self.codec.decode(r.value or b"", kind) for r in self.raw[name] if r.key == job_id.encode()]

    def results(self, job_id: str) -> list[JobResult]:
        """The terminal records of a job."""
        return self.of(RESULTS, JobResult, job_id)

    def events(self, job_id: str) -> list[JobEvent]:
        """The events of a job."""
        return self.of(JOB_EVENTS, JobEvent, job_id)

    def usage(self, job_id: str) -> list[UsageEvent]:
        """The usage of a job."""
        return self.of(USAGE_EVENTS, UsageEvent, job_id)


class Bench:
    """Starts workers for one stage, sends requests and collects what follows."""

    def __init__(self, bootstrap: str, stage: StageTopics, tools: Tools, stages: dict[str, StageTopics]) -> None:
        self.bootstrap, self.stage, self.tools, self.stages = bootstrap, stage, tools, stages
        self.records = Records(codec=tools.codec)
        self.arrived = asyncio.Condition()

    @property
    def blobs(self) -> FakeBlobs:
        """The blobs."""
        assert isinstance(self.tools.blobs, FakeBlobs)
        return self.tools.blobs

    def processor(self, handler: Handler, **options: Any) -> Processor:
        """A processor of this stage."""
        return Processor(self.stage, handler, **{"retry": QUICK, **options})

    @asynccontextmanager
    async def worker(self, handler: Handler, **options: Any) -> AsyncGenerator[Worker]:
        """Run a worker until the context ends; then it drains."""
        processor = self.processor(handler, **options)
        topics = [topic.name for topic in self.stage.requests.values()]
        subscriber = KafkaSubscriber(self.bootstrap, group_of(processor), topics)
        worker = Worker(processor, subscriber, self.tools, stages=self.stages, drain_s=5)
        running = asyncio.create_task(worker.run())
        try:
            joined = asyncio.create_task(worker.joined.wait())
            await asyncio.wait((joined, running), timeout=30, return_when=asyncio.FIRST_COMPLETED)
            yield worker
        finally:
            worker.stop()
            await running

    async def send(
        self, *requests: StageRequest, lane: str = Lane.INTERACTIVE, headers: dict[str, bytes] | None = None
    ) -> None:
        """Put requests on the stage's topic."""
        topic = self.stage.requests[lane]
        await self.tools.publisher.publish_many([Outgoing(topic, r.job.job_id, r, headers or {}) for r in requests])

    async def garbage(self, key: str) -> None:
        """Put a record that nobody can read on the topic of each lane, where a job's own requests stand."""
        for topic in self.stage.requests.values():
            await self.tools.publisher.publish_raw(topic.name, key.encode(), GARBAGE, {})

    def garbage_is_buried(self) -> bool:
        """Whether each lane's dead letter topic has that record."""
        letters = [self.records.raw[topic.dead_letters] for topic in self.stage.requests.values()]
        return all(any(letter.value == GARBAGE for letter in lane) for lane in letters)

    async def until(self, condition: Callable[[], T], timeout_s: float = 30) -> T:
        """Wait until what was collected satisfies `condition`; return what that returned."""
        async with asyncio.timeout(timeout_s), self.arrived:
            while not (value := condition()):
                await self.arrived.wait()
            return value

    async def result(self, request: StageRequest) -> JobResult:
        """Wait for a job's result."""
        return (await self.until(lambda: self.records.results(request.job.job_id)))[0]

    async def collect(self, consumer: AIOKafkaConsumer) -> None:
        """Collect for ever."""
        async for record in consumer:
            self.records.raw[record.topic].append(record)
            async with self.arrived:
                self.arrived.notify_all()


@asynccontextmanager
async def bench(bootstrap: str, *stages: StageTopics) -> AsyncGenerator[Bench]:
    """Create the topics of `stages` (the first is the one that is served) and collect from now on."""
    own: list[Topic] = []
    for stage in stages:
        own += stage.requests.values()
        own += [stage.done] if stage.done else []
    own += [dead_letter_topic(topic) for topic in tuple(own)]
    async with kafka_admin(bootstrap) as admin:
        await admin.ensure_topics(own)
    async with AsyncExitStack() as stack:
        tools = await make_tools(stack, bootstrap)
        it = Bench(bootstrap, stages[0], tools, {stage.kind: stage for stage in stages})
        consumer = AIOKafkaConsumer(
            *(t.name for t in (RESULTS, JOB_EVENTS, USAGE_EVENTS, *own)),
            bootstrap_servers=bootstrap,
            fetch_max_wait_ms=50,
        )
        await consumer.start()
        for tp in consumer.assignment():
            await consumer.position(tp)
        collecting = asyncio.create_task(it.collect(consumer))
        try:
            yield it
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
            await consumer.stop()


async def make_tools(stack: AsyncExitStack, bootstrap: str) -> Tools:
    """Make what a process shares, on this Kafka and with blobs in memory."""
    codec = Codec()
    publisher = await stack.enter_async_context(KafkaPublisher(bootstrap, codec=codec))
    decoder = await stack.enter_async_context(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec, publisher))
    tail = KafkaTail(bootstrap, JOB_CONTROL.name)
    cancelled = await stack.enter_async_context(CancelledJobs(tail, decoder, publisher))
    children = await stack.enter_async_context(ChildPool(2))
    return Tools(publisher, FakeBlobs(), children, codec, decoder, cancelled)


class Gate:
    """Lets handlers wait until the test opens it, and the test until they have come."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.came: list[str] = []
        self._coming = asyncio.Condition()

    async def enter(self, name: str) -> None:
        """Tell that a handler is here and wait."""
        await self.note(name)
        await self.opened.wait()

    async def note(self, name: str) -> None:
        """Tell that a handler is here."""
        self.came.append(name)
        async with self._coming:
            self._coming.notify_all()

    async def until(self, condition: Callable[[Sequence[str]], bool], timeout_s: float = 20) -> None:
        """Wait until those who came satisfy `condition`."""
        async with asyncio.timeout(timeout_s), self._coming:
            await self._coming.wait_for(lambda: condition(self.came))


def partition_of_job(stage: StageTopics, job: JobRef) -> int:
    """Where a job's requests stand."""
    return partition_of(job.job_id.encode(), stage.requests[job.lane].partitions)


async def leave_behind(kafka: str, group: str, topics: Sequence[Topic]) -> None:
    """Commit the ends of topics for a group that nobody is in: it then leaves alone what other tests asked for."""
    partitions = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.commit(await consumer.end_offsets(partitions))
    finally:
        await consumer.stop()
