"""Purges: content removed before its time. Records on the topic `purges`, without any content of their own.

A purge is written twice: as `begun`, which names its jobs, before anything is removed (from then on nothing
takes these jobs up again), and as `done`, with what was removed. A long list of jobs is spread over parts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, cast

from schemas.errors import InvalidInput
from schemas.ids import event_id, is_job_id
from schemas.payloads import BlobRef

IDS_A_PART = 10_000
"""Job ids in one record: 270 kB."""


class PurgeKind(StrEnum):
    """What a `Purge` record tells."""

    BEGUN = "begun"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """What is to be purged: one job, or a service's jobs and calls that were made before a time."""

    job_id: str = ""
    service: str = ""
    before_ms: int = 0

    def check(self, now_ms: int) -> "PurgeScope":
        """Return the scope if it can be purged.

        Raises InvalidInput: `missing_scope`, `invalid_job_id`, `time_ahead`.
        """
        if bool(self.job_id) == bool(self.service):
            raise InvalidInput(
                "a purge takes one job, or one service and a time",
                code="missing_scope",
                remedy="give --job ID, or --service S with --before T",
            )
        if self.job_id and not is_job_id(self.job_id):
            raise InvalidInput(f"{self.job_id[:80]!r} is no job id", code="invalid_job_id", remedy="check the id")
        if self.service and not self.before_ms:
            raise InvalidInput(
                f"it is not said up to when the jobs of {self.service[:40]} are to be purged",
                code="missing_scope",
                remedy="give --before T, such as --before 2026-11-01T00:00:00+09:00",
            )
        if self.job_id and self.before_ms:
            raise InvalidInput("a time belongs to a service", code="missing_scope", remedy="leave --before out")
        if self.before_ms > now_ms:
            raise InvalidInput(
                "--before lies ahead: what is made from now on cannot be purged yet",
                code="time_ahead",
                remedy="give a time that is over, at most now",
            )
        return self


@dataclass(frozen=True, slots=True)
class PurgeCounts:
    """What a purge found and did; sizes in bytes. `records` counts what stays on the topics until retention."""

    jobs: int = 0
    calls: int = 0
    running: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    shared_blobs: int = 0
    letters: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class Purge:
    """One record of a purge; `by` is the key id or the system account of who asked for it."""

    event_id: str
    purge_id: str
    kind: str
    at_ms: int
    by: str
    scope: PurgeScope
    part: int = 0
    parts: int = 1
    job_ids: tuple[str, ...] = ()
    counts: PurgeCounts = field(default_factory=PurgeCounts)


def purge_records(purge: Purge, job_ids: Sequence[str]) -> Iterator[Purge]:
    """Yield the records of a purge that names these jobs."""
    parts = max(1, -(-len(job_ids) // IDS_A_PART))
    for part in range(parts):
        own = tuple(job_ids[part * IDS_A_PART : (part + 1) * IDS_A_PART])
        name = event_id(purge.purge_id, purge.kind, part)
        yield replace(purge, event_id=name, part=part, parts=parts, job_ids=own)


def purged_jobs(purges: Iterable[Purge]) -> frozenset[str]:
    """Return the jobs that nothing may take up again."""
    return frozenset(job_id for purge in purges for job_id in purge.job_ids)


def blob_refs(value: Any) -> Iterator[BlobRef]:
    """Yield every blob that a record, or a value in it, refers to."""
    match value:
        case BlobRef():
            yield value
        case tuple() | list():
            for one in cast("Sequence[Any]", value):
                yield from blob_refs(one)
        case dict():
            for one in cast("dict[str, Any]", value).values():
                yield from blob_refs(one)
        case _ if is_dataclass(value):
            for one in fields(value):
                yield from blob_refs(getattr(value, one.name))
        case _:
            return
