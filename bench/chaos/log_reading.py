"""What the topics say of the jobs of some services, read from offset 0 and folded as the gateway folds them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from schemas.codec import Codec
from schemas.errors import UndecodableRecord
from schemas.events import JobEvent, JobResult, UsageEvent
from schemas.job_state import JobState, fold
from schemas.topics import JOB_EVENTS, RESULTS, USAGE_EVENTS, Topic
from schemas.usage_ledger import LedgerEntry, fold_usage
from streams.log.protocols import LogRecord
from streams.log.whole_topics import read_whole

T = TypeVar("T")

TOPICS: tuple[Topic, ...] = (JOB_EVENTS, RESULTS, USAGE_EVENTS)


@dataclass(slots=True)
class Reading:
    """Jobs and usage by job id. `ends` holds every end of a job: (epoch, status, result or error as text)."""

    states: dict[str, JobState] = field(default_factory=dict)
    usage: dict[str, LedgerEntry] = field(default_factory=dict)
    ends: dict[str, Counter[tuple[int, str, str]]] = field(default_factory=dict)
    undecodable: int = 0

    @property
    def ids(self) -> frozenset[str]:
        """Every job that any topic knows."""
        return frozenset(self.states) | frozenset(self.usage)

    def same_as(self, other: "Reading") -> bool:
        """Whether both readings came to the same jobs and the same usage."""
        return self.states == other.states and self.usage == other.usage


async def read_log(bootstrap: str, services: frozenset[str], topics: Sequence[Topic] = TOPICS) -> Reading:
    """Read the topics one after the other, in this order, and fold what concerns these services."""
    reading, codec = Reading(), Codec()
    for topic in topics:
        async for batch in read_whole(bootstrap, [topic.name]):
            for record in batch:
                _take(reading, codec, record, services)
    return reading


def _take(reading: Reading, codec: Codec, record: LogRecord, services: frozenset[str]) -> None:
    kind = next(topic.record for topic in TOPICS if topic.name == record.topic)
    assert kind is not None
    try:
        value = codec.decode(record.value or b"", kind)
    except UndecodableRecord:
        reading.undecodable += 1
        return
    match value:
        case JobEvent() | JobResult() if value.job.service in services:
            job_id = value.job.job_id
            reading.states[job_id] = fold(reading.states.get(job_id), value, record.offset)
            if isinstance(value, JobResult):
                reading.ends.setdefault(job_id, Counter())[_end(value)] += 1
        case UsageEvent() if value.service in services:
            held = reading.usage.get(value.request_id)
            reading.usage[value.request_id] = fold_usage(held, value, record.offset)
        case _:
            return


def _end(result: JobResult) -> tuple[int, str, str]:
    content = "" if result.result is None else repr(result.result)
    return result.job.epoch, result.status, content if result.error is None else result.error.code
