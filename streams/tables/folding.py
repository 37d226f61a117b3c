"""A batch of records into changed states: one per job, however many records it had."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.errors import UndecodableRecord
from schemas.events import JobEvent, JobResult
from schemas.job_state import JobState, fold
from schemas.topics import JOB_EVENTS, RESULTS
from streams.redis_keys import Offsets
from streams.tables.job_states import JobStates
from streams.tables.partitions import job_partition

RECORD_OF = {JOB_EVENTS.name: JobEvent, RESULTS.name: JobResult}


class Position(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class Folded:
    """What a batch changed: states by partition and job id, and the next offsets by partition."""

    changed: dict[int, dict[bytes, JobState]] = field(default_factory=dict[int, dict[bytes, JobState]])
    next_offsets: dict[int, Offsets] = field(default_factory=dict[int, Offsets])

    def advance(self, position: Position) -> None:
        """Count a record as folded."""
        before = self.next_offsets.get(position.partition, Offsets(-1, -1))
        after = position.offset + 1
        self.next_offsets[position.partition] = (
            Offsets(max(before.events, after), before.results)
            if position.topic == JOB_EVENTS.name
            else Offsets(before.events, max(before.results, after))
        )


def fold_batch(records: Iterable[tuple[Position, JobEvent | JobResult]], states: JobStates) -> Folded:
    """Fold decoded records onto `states` without changing it."""
    folded = Folded()
    for position, record in records:
        changed = folded.changed.setdefault(position.partition, {})
        key = record.job.job_id.encode()
        before = changed.get(key) or states.get(key)
        after = fold(before, record, position.offset)
        if after is not before:
            changed[key] = after
        folded.advance(position)
    return folded


def check_place(position: Position, key: bytes | None, record: JobEvent | JobResult) -> None:
    """See that a record stands under its job's id and in that id's partition.

    Raises UndecodableRecord: a job that is spread over partitions cannot be folded.
    """
    check_key(position, key, record.job.job_id)


def check_key(position: Position, key: bytes | None, job_id: str) -> None:
    """See that a record about a job or call stands under its id and in that id's partition; see check_place."""
    if key != job_id.encode():
        raise UndecodableRecord(
            f"the record is about job {job_id}, but its key is another", code="wrong_key", remedy="key it by job id"
        )
    if job_partition(job_id) != position.partition:
        raise UndecodableRecord(
            f"job {job_id} belongs to partition {job_partition(job_id)}, the record stands in {position.partition}",
            code="wrong_partition",
            remedy="let the producer choose the partition with murmur2 of the key",
        )
