"""One partition of the entries and results: starts jobs, answers requests, and commits what they follow from."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas.batch import BatchAnswer, BatchEntry, BatchRejection
from schemas.codec import Codec
from schemas.errors import GatewayError, UndecodableRecord
from schemas.events import JobEvent, JobEventKind, JobResult, Lane, StageRequest
from schemas.ids import event_id
from schemas.pipelines import request_event_id
from schemas.topics import (
    ANSWER_RETENTION,
    BATCH_ENTRIES,
    BATCH_NOTES,
    JOB_EVENTS,
    RESULTS,
    batch_door,
)
from streams.admission.book import Book, Refuse, Start, Waiting
from streams.admission.entries import startable
from streams.admission.reservations import Reserver
from streams.admission.spans import RecordHeaders, Steps
from streams.admission.takeover import notes_of
from streams.admission.writing import Write, write_all
from streams.log.closing import close_client
from streams.log.dead_letters import letter_of_unusable, tell_buried
from streams.log.group_metrics import committed
from streams.log.kafka_tail import key_text, to_log_record
from streams.log.protocols import Decoder, LogRecord
from streams.logs import get_logger
from streams.metrics import BATCH_ANSWERED, BATCH_REJECTED, BATCH_STARTED
from streams.stages import all_stages
from streams.tracing import TRACE_HEADERS

log = get_logger(__name__)

GROUP = "admission-jobs"
_STAGE = "admission"
_ANSWERS_STAY_MS = int(ANSWER_RETENTION.total_seconds() * 1000)

Topics = Callable[[], frozenset[str]]
Fetched = Mapping[TopicPartition, Sequence[Any]]
_Unusable = tuple[LogRecord, GatewayError]


class Partition:
    """Works on one partition, as its only owner; raises what the log raises, and is then made anew."""

    def __init__(
        self,
        number: int,
        consumer: AIOKafkaConsumer,
        starter: AIOKafkaProducer,
        producer: AIOKafkaProducer,
        codec: Codec,
        decoder: Decoder,
        topics: Topics,
        reserver: Reserver,
    ) -> None:
        self.number = number
        self.book = Book()
        self.blocked = False
        """Whether a result is there whose entry is not read yet."""
        self.entries = TopicPartition(BATCH_ENTRIES.name, number)
        self.results = TopicPartition(RESULTS.name, number)
        self.notes = TopicPartition(BATCH_NOTES.name, number)
        self._taken = 0  # the offset below which every entry was taken
        self._consumer = consumer
        self._starter = starter
        self._producer = producer
        self._codec = codec
        self._decoder = decoder
        self._topics = topics
        self._reserver = reserver
        self.passed: int | None = None
        self._steps = Steps()

    @property
    def at_rest(self) -> bool:
        """Whether nothing that is on its way is waited for."""
        return not len(self.book) and not self.blocked

    async def close(self) -> None:
        await close_client(self._producer.stop(), of=GROUP)

    def forget(self) -> None:
        """Drop from the book the answers that are no longer kept."""
        self.book.forget(_now_ms() - _ANSWERS_STAY_MS)

    async def note(self, committed: int) -> None:
        """Write down what was learned from the log and is not among the notes yet; entries up to there are taken."""
        self._taken = committed
        if notes := self._notes():
            async with self._producer.transaction():
                await write_all(self._producer, notes)

    async def prove_own(self) -> None:
        """Raise what the log raises when another took the partition over since: it fenced this one then.

        A member that stood still through a rebalance may have lost its partitions and got the same ones back, with
        entries taken meanwhile that its book does not know. Their answers would pass as nobody's.
        """
        async with self._producer.transaction():
            taken = {self.entries: OffsetAndMetadata(self._taken, "")}
            await self._producer.send_offsets_to_transaction(taken, GROUP)

    def _notes(self) -> list[Write]:
        open_from = self.book.open_from(self._taken)
        made = notes_of(self.book.news(), open_from, _now_ms())
        return [Write(self.notes.topic, self.number, None, self._codec.encode(each)) for each in made]

    async def work(self, fetched: Fetched) -> None:
        """Do what a batch of entries and results asks for, then commit it.

        Results that asked for nothing are only noted in `passed`: to read them again changes nothing.
        """
        with self._steps:
            await self._work(fetched)

    async def _work(self, fetched: Fetched) -> None:
        offsets: dict[TopicPartition, int] = {}
        answers: list[Write] = []
        entries, unusable = fetched.get(self.entries, ()), list[_Unusable]()
        if entries:
            rejections, unusable = await self._take(entries)
            answers += rejections
            offsets[self.entries] = self._taken = entries[-1].offset + 1
        if self.results in fetched:
            self.blocked = False
        for record in fetched.get(self.results, ()):
            told = await self._answer(record)
            if told is None:  # its entry is on the log, but not read yet
                self._consumer.seek(self.results, record.offset)
                self.blocked = True
                break
            answers += told
            offsets[self.results] = record.offset + 1
        answers = [*await self._deliverable(answers), *self._notes()]
        if answers or unusable:
            async with self._producer.transaction():
                await write_all(self._producer, [*answers, *(_letter(*each) for each in unusable)])
                following = {tp: OffsetAndMetadata(at, "") for tp, at in offsets.items()}
                await self._producer.send_offsets_to_transaction(following, GROUP)
            committed(GROUP)
            for record, error in unusable:
                tell_buried(record, error, stage=_STAGE)
        elif self.entries in offsets:
            await self._consumer.commit(offsets)
            committed(GROUP)
        elif offsets:
            self.passed = offsets[self.results]
            return
        if self.results in offsets:
            self.passed = None

    async def _take(self, records: Iterable[Any]) -> tuple[list[Write], list[_Unusable]]:
        """Start the jobs of entries; return what rejects others, and what cannot be used."""
        requests: list[Write] = []
        events: list[Write] = []
        rejections: list[Write] = []
        unusable: list[_Unusable] = []
        for record in records:
            try:
                entry = await self._decoder.decode(record.value or b"", BatchEntry)
            except UndecodableRecord as e:
                unusable.append((to_log_record(record), e))
                continue
            match self.book.take(startable(entry), record.offset):
                case Start():
                    self._reserver.adopt(self._reserver.held(entry))  # the door's reader may be another process
                    request, event = self._start(entry, _trace(record))
                    requests.append(request)
                    events.append(event)
                case Refuse() as refusal:
                    rejections.append(self._reject(refusal, _trace(record)))
                case None:
                    pass
        await write_all(self._starter, requests)
        await write_all(self._starter, events)
        BATCH_STARTED.inc(len(requests))
        return rejections, unusable

    def _start(self, entry: BatchEntry, trace: RecordHeaders) -> tuple[Write, Write]:
        job, first = entry.job, entry.steps[0]
        request = StageRequest(
            event_id=request_event_id(job.job_id, job.epoch, first.name),
            job=job,
            steps=entry.steps,
            position=0,
            inputs=entry.inputs,
            options=entry.options,
            requested_at_ms=job.created_at_ms,
        )
        event = JobEvent(
            event_id=event_id(job.job_id, job.epoch, JobEventKind.ACCEPTED),
            job=job,
            kind=JobEventKind.ACCEPTED,
            steps=entry.steps,
            at_ms=job.created_at_ms,
            inputs=entry.inputs,
        )
        key = job.job_id.encode()
        topic = all_stages()[first.kind].requests[Lane.BULK].name
        trace = self._steps.write(topic, trace, job.job_id)
        return (
            Write(topic, self.number, key, self._codec.encode(request), trace),
            Write(JOB_EVENTS.name, self.number, key, self._codec.encode(event), trace),
        )

    def _reject(self, refusal: Refuse, trace: RecordHeaders) -> Write:
        entry, reason = refusal.entry, refusal.reason
        rejection = BatchRejection(
            request_id=entry.request_id,
            code=reason.code,
            message=reason.message,
            remedy=reason.remedy,
            partition=entry.door_partition,
            offset=entry.door_offset,
            job_id=refusal.first_job,
            rejected_at_ms=_now_ms(),
        )
        BATCH_REJECTED.labels(reason.code).inc()
        topic = batch_door(entry.job.service).rejected.name
        return self._addressed(topic, entry.job.job_id, rejection, entry.reply_headers, trace)

    async def _answer(self, record: Any) -> list[Write] | None:
        """Return the answer that a terminal record makes, if any; None when its entry must be read first."""
        job_id = key_text(record.key)
        waiting = self.book.waiting(job_id)
        if waiting is None and self.book.knows(job_id):
            return []
        try:
            result = await self._decoder.decode(record.value or b"", JobResult)
        except UndecodableRecord:
            return []  # job-state, whose table it is for, puts it among the dead letters
        if waiting is None:
            return [] if result.job.lane != Lane.BULK or await self._all_entries_read() else None
        self.book.answered(job_id, _now_ms())  # a repeat in the same batch is none; a failure reads everything anew
        BATCH_ANSWERED.labels(result.status).inc()
        return [self._result(waiting, result, _trace(record))]

    def _result(self, waiting: Waiting, result: JobResult, trace: RecordHeaders) -> Write:
        answer = BatchAnswer(
            request_id=waiting.request_id,
            job_id=result.job.job_id,
            module=result.job.module,
            status=result.status,
            result=result.result,
            error=result.error,
            usage=result.usage,
            created_at_ms=result.job.created_at_ms,
            finished_at_ms=result.finished_at_ms,
        )
        topic = batch_door(waiting.service).results.name
        return self._addressed(topic, result.job.job_id, answer, waiting.reply_headers, trace)

    def _addressed(
        self, topic: str, job_id: str, record: object, reply: Mapping[str, str], trace: RecordHeaders
    ) -> Write:
        carried = self._steps.write(topic, trace, job_id)
        headers = [(name, value.encode()) for name, value in reply.items()]
        headers += [header for header in carried if header[0] not in reply]
        return Write(topic, self.number, job_id.encode(), self._codec.encode(record), headers)

    async def _deliverable(self, answers: Sequence[Write]) -> list[Write]:
        """Leave out what is for doors that were deleted."""
        topics = self._topics()
        if any(write.topic not in topics for write in answers):
            # What was seen a moment ago lacks the newest doors, which another replica may have found already.
            topics = await self._consumer.topics()
        gone = {write.topic for write in answers} - topics
        for topic in gone:
            log.warning("admission.no_answer_topic", topic=topic)
        return [write for write in answers if write.topic not in gone]

    async def _all_entries_read(self) -> bool:
        end = (await self._consumer.end_offsets([self.entries]))[self.entries]
        return await self._consumer.position(self.entries) >= end


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _trace(record: Any) -> RecordHeaders:
    return [header for header in record.headers if header[0] in TRACE_HEADERS]


def _letter(record: LogRecord, error: GatewayError) -> Write:
    letter = letter_of_unusable(record, error, stage=_STAGE)
    return Write(letter.topic, 0, letter.key, letter.value, [*letter.headers.items()])
