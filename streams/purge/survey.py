"""Reads what there is of a service's jobs and calls: on every topic, and in the views of its jobs.

The log tells who refers to which blob and what stays on it after a purge; the views tell of jobs that are kept
for longer than their records.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka import TopicPartition

from schemas.batch import BatchAnswer, BatchEntry, BatchRequest
from schemas.codec import Codec
from schemas.errors import Outage, UndecodableRecord
from schemas.events import (
    TERMINAL,
    ChatRequest,
    JobEvent,
    JobEventKind,
    JobRef,
    JobResult,
    StageOutcome,
    StageRequest,
)
from schemas.ids import keyed_job_id
from schemas.job_view import JobView
from schemas.payloads import BlobRef
from schemas.purges import blob_refs
from schemas.replays import ReplayEvent
from schemas.submissions import BATCH
from schemas.topics import REPLAYS, Topic, batch_door, dead_letter_topic
from streams.admission.doors import GROUP as DOORS
from streams.log.admin import kafka_admin
from streams.log.garbled import read_all_garbled
from streams.log.protocols import Decoder, LogRecord
from streams.log.whole_topics import read_whole
from streams.replay.heads import HeadReader
from streams.tables.job_reader import JobReader, Unknown

PAGES = "pages"
"""The artifact that lists a document's page pictures, which are blobs too."""

_PAGE = 200
_OF_JOBS = (StageRequest, StageOutcome, JobEvent, JobResult, BatchEntry)
_NO_JOB = JobRef("", "", "", "", "", "", 0, "")


@dataclass(frozen=True, slots=True)
class JobHead:
    """What records about a job begin with."""

    event_id: str
    job: JobRef


@dataclass(frozen=True, slots=True)
class EntryHead:
    """What entries of batch doors begin with."""

    job: JobRef


@dataclass(slots=True)
class Seen:
    """What was seen of one job or call. `refs` are hashes of blobs; `records` counts by topic."""

    job: JobRef
    ended_epoch: int = -1
    worked_epoch: int = 0
    purged: bool = False
    last_ms: int = 0
    refs: set[str] = field(default_factory=set[str])
    manifests: set[str] = field(default_factory=set[str])
    records: Counter[str] = field(default_factory=Counter[str])

    @property
    def ended(self) -> bool:
        """Whether the job has ended, in the highest epoch that anything was done in."""
        return self.purged or self.ended_epoch >= self.worked_epoch


@dataclass(slots=True)
class Survey:
    """Everything seen of one service; `sizes` in bytes by hash."""

    service: str
    jobs: dict[str, Seen] = field(default_factory=dict[str, Seen])
    calls: dict[str, Seen] = field(default_factory=dict[str, Seen])
    sizes: dict[str, BlobRef] = field(default_factory=dict[str, BlobRef])
    refused: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """The times of records that made no job, by topic: they may hold their content."""

    waiting: set[str] = field(default_factory=set[str])
    """Hashes of blobs that are named by requests at the batch door, or by a replay's plan, and by no job."""

    def see(self, of: dict[str, Seen], job: JobRef) -> Seen:
        """Return what was seen of a job, beginning anew with its first record."""
        held = of.get(job.job_id)
        if held is None:
            held = of[job.job_id] = Seen(job)
        elif job.created_at_ms and (job.created_at_ms < held.job.created_at_ms or not held.job.created_at_ms):
            held.job = replace(job, epoch=0)
        return held

    def refer(self, seen: Seen, value: Any) -> None:
        """Note every blob that a value refers to."""
        for ref in blob_refs(value):
            if ref.service == self.service:
                seen.refs.add(ref.sha256)
                self.sizes.setdefault(ref.sha256, ref)
        pages = (getattr(value, "artifacts", None) or {}).get(PAGES)
        if pages is not None and pages.service == self.service:
            seen.manifests.add(pages.sha256)


async def survey(
    bootstrap: str, codec: Codec, decoder: Decoder, reader: JobReader, service: str, topics: Iterable[Topic]
) -> Survey:
    """Read everything of a service. Raises Outage, also while its views are being rebuilt."""
    found = Survey(service)
    async with kafka_admin(bootstrap) as admin:
        read = await admin.committed(DOORS)
        has_door = batch_door(service).requests.name in await admin.topic_names()
    await _read_views(reader, found)
    declared = [t for t in topics if t.record in _OF_JOBS or t.record is ChatRequest]
    letters = {dead_letter_topic(t).name: t for t in declared}
    # The doors come last: a request is told by its job. A service without a door has no such topics.
    answers = batch_door(service).results
    for topics_of in ({**{t.name: t for t in declared}, **letters}, {answers.name: answers}):
        reading = {name: _Reading(topic, codec, decoder, found, read) for name, topic in topics_of.items()}
        async for batch in read_whole(bootstrap, reading):
            for record in batch:
                await reading[record.topic].take(record)
    if has_door:
        requests = batch_door(service).requests
        taking = _Reading(requests, codec, decoder, found, read)
        async for batch in read_all_garbled(bootstrap, requests.name):  # whatever a client put there
            for record in batch:
                await taking.take(record)
    async for batch in read_whole(bootstrap, (REPLAYS.name,)):
        for record in batch:
            await _take_replay(found, decoder, record)
    return found


async def _take_replay(found: Survey, decoder: Decoder, record: LogRecord) -> None:
    with suppress(UndecodableRecord):
        told = await decoder.decode(record.value or b"", ReplayEvent)
        found.waiting |= {ref.sha256 for ref in blob_refs(told) if ref.service == found.service}


async def _read_views(reader: JobReader, found: Survey) -> None:
    cursor: str | None = None
    while True:
        page = await reader.list(found.service, limit=_PAGE, cursor=cursor)
        if isinstance(page, Unknown):
            raise Outage(
                f"the jobs cannot be listed now: {page.reason}",
                code="view_unavailable",
                remedy="purge again when ./gateway status says that job-state is ready",
            )
        for view in page.jobs:
            _take_view(found, view)
        cursor = page.next_cursor
        if cursor is None:
            return


def _take_view(found: Survey, view: JobView) -> None:
    seen = found.see(found.jobs, view.job)
    seen.worked_epoch = max(seen.worked_epoch, view.job.epoch)
    if view.document["status"] in TERMINAL:
        seen.ended_epoch = max(seen.ended_epoch, view.job.epoch)
    found.refer(seen, view)


class _Reading:
    """Takes the records of one topic, dead letters included."""

    def __init__(
        self, topic: Topic, codec: Codec, decoder: Decoder, found: Survey, read: Mapping[TopicPartition, int]
    ) -> None:
        self._topic, self._decoder, self._found, self._read = topic, decoder, found, read
        kind = topic.record
        self._heads: HeadReader[Any] | None = None
        if kind is BatchEntry:
            self._heads = HeadReader(BatchEntry, EntryHead, codec)
        elif kind is not None and kind not in (BatchAnswer, BatchRequest, ChatRequest):
            self._heads = HeadReader(kind, JobHead, codec)

    async def take(self, record: LogRecord) -> None:
        """Note what a record tells, if it is the service's."""
        if record.value is None:
            return
        if self._heads is not None:
            head = self._heads.read(record.value)
            if head is not None and head.job.service != self._found.service:
                return
        try:
            value: Any = await self._decoder.decode(record.value, self._topic.record or object)
        except UndecodableRecord:
            return  # nothing can make it a job's again, or show it
        seen = self._seen(value)
        if seen is None:
            if isinstance(value, BatchRequest):
                self._without_job(value, record)
            return
        seen.records[record.topic] += 1
        seen.last_ms = max(seen.last_ms, record.timestamp_ms)
        self._found.refer(seen, value)

    def _without_job(self, request: BatchRequest, record: LogRecord) -> None:
        place = TopicPartition(record.topic, record.partition)
        if record.offset < self._read.get(place, 0):
            self._found.refused.setdefault(record.topic, []).append(record.timestamp_ms)
        else:
            self._found.waiting.update(request.blobs)

    def _seen(self, value: Any) -> Seen | None:
        found = self._found
        if isinstance(value, ChatRequest):
            if value.service != found.service:
                return None
            made = replace(_NO_JOB, job_id=value.request_id, created_at_ms=value.requested_at_ms)
            return found.see(found.calls, made)
        if isinstance(value, BatchRequest):
            return found.jobs.get(keyed_job_id(found.service, BATCH, value.request_id))
        if isinstance(value, BatchAnswer):
            return found.jobs.get(value.job_id)
        job: JobRef = value.job
        if job.service != found.service or (isinstance(value, BatchEntry) and value.refusal is not None):
            return None
        seen = found.see(found.jobs, job)
        if isinstance(value, JobResult):
            seen.ended_epoch = max(seen.ended_epoch, job.epoch)
        elif isinstance(value, JobEvent) and value.kind == JobEventKind.PURGED:
            seen.purged = True
        seen.worked_epoch = max(seen.worked_epoch, job.epoch)
        return seen
