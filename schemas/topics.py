"""Every topic, once: its record, partitions, retention and clean-up.

`job.events`, `results`, `usage.events` and `chat.requests` share one partition count for life: the
views and the ledger are folded per partition, and a job's records must stay in its partition.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from schemas.batch import BatchAnswer, BatchEntry, BatchNotes, BatchRejection, BatchRequest
from schemas.events import (
    ApiKey,
    ChatRequest,
    JobControl,
    JobEvent,
    JobResult,
    Lane,
    SchemaRecord,
    StageOutcome,
    StageRequest,
    UsageEvent,
)
from schemas.job_state import JobState
from schemas.modules import ModuleRecord
from schemas.purges import Purge
from schemas.replays import ReplayEvent
from schemas.services import ServiceSettings
from schemas.usage_ledger import LedgerEntry

JOB_PARTITIONS = 8
STAGE_PARTITIONS = 8

MAX_RECORD_BYTES = 1024 * 1024
"""The broker's limit for a record; payloads over 64 KiB travel by claim check and stay far below it."""

DEAD_LETTER_ROOM = 16 * 1024
"""What a dead letter may have beyond its record: the headers that tell why."""

MAX_REQUEST_BYTES = 16 * MAX_RECORD_BYTES
"""What a producer hands to the broker uncompressed; the broker's limit holds for what it is compressed to."""

WORK_RETENTION = timedelta(days=14)
JOB_RETENTION = timedelta(days=35)
LEDGER_RETENTION = timedelta(days=400)
DEAD_LETTER_RETENTION = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's declaration. `retention` None with `compact` keeps the last record of each key for ever.

    `compression` is what the broker stores: `producer` leaves records as their writer made them, for ours compresses
    what gains by it, and the broker would do the rest of it for nothing. `broker_time`: the records' times
    are the broker's, whatever the clocks of those who write. `compact_within`: what a later record of a key replaced
    is compacted away after so long, on a topic that goes on being written to; else the broker does when it likes.
    """

    name: str
    record: type | None
    partitions: int
    retention: timedelta | None
    compact: bool = False
    compression: str = "producer"
    max_bytes: int = MAX_RECORD_BYTES
    broker_time: bool = False
    compact_within: timedelta | None = None
    letters_kept: timedelta = DEAD_LETTER_RETENTION

    @property
    def dead_letters(self) -> str:
        """The name of the topic that takes what could not be processed."""
        return f"{self.name}.dlt"


@dataclass(frozen=True, slots=True)
class StageTopics:
    """The topics of one stage kind: a request topic per lane, and where outcomes go, if anywhere.

    Stages without an outcome topic hand their output to the next request or to `results` only.
    """

    kind: str
    requests: dict[str, Topic]
    done: Topic | None


def stage_topics(kind: str, request_topic: str, done_topic: str | None) -> StageTopics:
    """Declare the topics of a stage kind whose interactive requests are on `request_topic`."""

    def request(name: str) -> Topic:
        return Topic(name, StageRequest, STAGE_PARTITIONS, WORK_RETENTION)

    return StageTopics(
        kind=kind,
        requests={
            Lane.INTERACTIVE: request(request_topic),
            Lane.BULK: request(f"{request_topic}.bulk"),
            Lane.REPLAY: request(f"{request_topic}.replay"),
        },
        done=Topic(done_topic, StageOutcome, STAGE_PARTITIONS, JOB_RETENTION) if done_topic else None,
    )


OCR = stage_topics("ocr", "ocr.requests", "ocr.done")
STT = stage_topics("stt", "stt.requests", "stt.done")
LLM = stage_topics("llm", "llm.requests", "llm.done")
GONGMUN_EXTRACT = stage_topics("gongmun.extract", "gongmun.extract", None)
NOOP = stage_topics("noop", "noop.requests", None)

STAGES: dict[str, StageTopics] = {s.kind: s for s in (OCR, STT, LLM, GONGMUN_EXTRACT, NOOP)}

RESULTS = Topic("results", JobResult, JOB_PARTITIONS, JOB_RETENTION)
JOB_EVENTS = Topic("job.events", JobEvent, JOB_PARTITIONS, JOB_RETENTION)
CHAT_REQUESTS = Topic("chat.requests", ChatRequest, JOB_PARTITIONS, JOB_RETENTION)
USAGE_EVENTS = Topic(
    "usage.events", UsageEvent, JOB_PARTITIONS, LEDGER_RETENTION, broker_time=True, letters_kept=LEDGER_RETENTION
)
"""Its dead letters are kept as long as its records: only they tell which events the ledger has left out, and why."""

API_KEYS = Topic("api.keys", ApiKey, 1, None, compact=True)
SERVICES = Topic("services", ServiceSettings, 1, None, compact=True)
MODULES = Topic("modules", ModuleRecord, 1, None, compact=True)
REPLAYS = Topic("replays", ReplayEvent, 1, None, compact=True)
PURGES = Topic("purges", Purge, 1, LEDGER_RETENTION)
"""Who removed what, kept as long as the usage rows that the removed jobs leave behind."""

SCHEMAS = Topic("schemas", SchemaRecord, 1, None, compact=True)
JOB_CONTROL = Topic("job.control", JobControl, 1, timedelta(days=1))

JOB_TABLE_CHANGELOG = Topic(
    "job-state-jobs-changelog", JobState, JOB_PARTITIONS, None, compact=True, compact_within=timedelta(days=1)
)
"""What the job table is recovered from; Faust makes the name of its app's id and the table's name.

A state holds small texts and results, so those of jobs that are purged, or expired, must not stay for ever.
"""

LEDGER_TABLE_CHANGELOG = Topic("metering-ledger-changelog", LedgerEntry, JOB_PARTITIONS, None, compact=True)
"""What the usage ledger is recovered from; named as JOB_TABLE_CHANGELOG is."""

STAGES_THAT_WAIT = 2
"""Stages of a job that may each leave its request waiting for the whole retention of work."""

ENTRY_RETENTION = STAGES_THAT_WAIT * WORK_RETENTION + timedelta(days=1)
"""How long entries are kept: until their jobs have ended. Who takes a partition over knows an open request, and whom
its answer is for, from its entry alone."""

BATCH_ENTRIES = Topic("admission.entries", BatchEntry, JOB_PARTITIONS, ENTRY_RETENTION)
"""What came through the batch doors, by job: partitioned as `results`, so that one worker knows both."""


@dataclass(frozen=True, slots=True)
class BatchDoor:
    """The topics of one service's batch door."""

    requests: Topic
    results: Topic
    rejected: Topic

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All of them."""
        return (self.requests, self.results, self.rejected)


_DOOR_PARTITIONS = 4
_DOOR_NAME = re.compile(r"batch\.([a-z0-9-]{1,40})")


DOOR_RETENTION = JOB_RETENTION
"""How long a door keeps its requests: longer than a month, for which a used-up quota may let them wait."""

LONGEST_DOOR_WAIT = DOOR_RETENTION - timedelta(days=1)
"""So long a request waits for its quota; then it is rejected, before the topic could drop it without a word."""


ANSWER_RETENTION = ENTRY_RETENTION + timedelta(days=8)
"""How long answers are kept: an entry whose segment, of a week at most, is still there has its answer there too."""


BATCH_NOTES = Topic("admission.answered", BatchNotes, JOB_PARTITIONS, ANSWER_RETENTION)
"""Which requests were answered or rejected, some 40 bytes each, kept as long as their answers."""


def batch_door(service: str) -> BatchDoor:
    """Declare the batch door of a service. Answers outlive the entries that tell what was asked.

    The requests' times are the broker's: a client's wrong clock would have them removed unread. It compresses them,
    too, whatever their writer does.
    """
    name = f"batch.{service}"
    return BatchDoor(
        Topic(name, BatchRequest, _DOOR_PARTITIONS, DOOR_RETENTION, compression="lz4", broker_time=True),
        Topic(f"{name}.results", BatchAnswer, JOB_PARTITIONS, ANSWER_RETENTION),
        Topic(f"{name}.rejected", BatchRejection, JOB_PARTITIONS, ANSWER_RETENTION),
    )


def doors_among(names: Iterable[str]) -> Iterator[Topic]:
    """Yield the topics of every batch door whose requests' topic is among `names`, for `all_topics` has none."""
    for service in filter(None, map(service_of_door, sorted(names))):
        yield from batch_door(service).topics


def service_of_door(topic: str) -> str | None:
    """Return the service whose door a topic is; None when it is no door."""
    match = _DOOR_NAME.fullmatch(topic)
    return None if match is None else match[1]


def all_topics(stages: Mapping[str, StageTopics] = STAGES) -> Iterator[Topic]:
    """Yield every topic that must exist before anything starts, dead letter topics included."""
    for topic in _primary_topics(stages):
        yield topic
        yield dead_letter_topic(topic)
    # Faust reads them back as bytes, so nothing in them can be undecodable to it; notes can be made from the log again.
    yield from (JOB_TABLE_CHANGELOG, LEDGER_TABLE_CHANGELOG, BATCH_NOTES)


def dead_letter_topic(topic: Topic) -> Topic:
    """Declare the dead letter topic of `topic`; its values are the original bytes, so it has no record."""
    return Topic(topic.dead_letters, None, 1, topic.letters_kept, max_bytes=topic.max_bytes + DEAD_LETTER_ROOM)


def _primary_topics(stages: Mapping[str, StageTopics]) -> Iterator[Topic]:
    for stage in stages.values():
        yield from stage.requests.values()
        if stage.done is not None:
            yield stage.done
    yield from (BATCH_ENTRIES, REPLAYS, PURGES)
    yield from (RESULTS, JOB_EVENTS, CHAT_REQUESTS, USAGE_EVENTS, API_KEYS, SERVICES, MODULES, SCHEMAS, JOB_CONTROL)
