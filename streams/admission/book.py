"""What is known of one partition's batch jobs, as a fold of its entries and answers. Pure.

Entries come at least once and in any number; the fold starts each job once, gives each refused record one
rejection, and tells which jobs still wait for their answer. What was answered so long ago that its answer has
left the log is forgotten: asked for again, it is another request. What is settled is noted, so that the next worker
of the partition need not read it all again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from schemas.batch import BatchEntry, BatchNote
from schemas.events import ErrorInfo

Place = tuple[int, int]

_UNKNOWN = b""
"""Stands for the digest of a request of which only the answer is still there."""


@dataclass(frozen=True, slots=True)
class Start:
    """The job of this entry is to be started."""

    entry: BatchEntry


@dataclass(frozen=True, slots=True)
class Refuse:
    """The record of this entry is to be rejected; `first_job` had the request id before, if any."""

    entry: BatchEntry
    reason: ErrorInfo
    first_job: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the answer to a request needs."""

    service: str
    request_id: str
    reply_headers: dict[str, str]
    entry_offset: int


class Book:
    """The jobs of one partition."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[bytes, Place]] = {}
        self._waiting: dict[str, Waiting] = {}
        # Both in the order of their times.
        self._refused: dict[tuple[str, int, int], int] = {}
        self._answered: dict[str, int] = {}
        self._news: list[BatchNote] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def knows(self, job_id: str) -> bool:
        """Tell whether a batch request made this job."""
        return job_id in self._first

    def waiting(self, job_id: str) -> Waiting | None:
        """Return what the answer of a job needs; None when it has been given, or the job is none of ours."""
        return self._waiting.get(job_id)

    def has_answered(self, job_id: str) -> bool:
        """Tell whether the answer of a job was given."""
        return job_id in self._answered

    def open_from(self, end: int) -> int:
        """Return the offset below which every entry is settled, when those below `end` were taken."""
        oldest = next(iter(self._waiting.values()), None)
        return end if oldest is None else oldest.entry_offset

    def news(self) -> list[BatchNote]:
        """Return what was settled since this was last asked."""
        news, self._news = self._news, []
        return news

    def recall(self, notes: Iterable[BatchNote], at_ms: int) -> None:
        """Know again what was settled at a time."""
        for note in notes:
            place = (note.door_partition, note.door_offset)
            if note.refused:
                self._refused[(note.job_id, *place)] = at_ms
            else:
                self._first[note.job_id] = (note.digest, place)
                self._answered[note.job_id] = at_ms

    def take(self, entry: BatchEntry, offset: int) -> Start | Refuse | None:
        """Note an entry, the one at an offset, and return what is to be done: nothing for a repeat."""
        job_id, place = entry.job.job_id, (entry.door_partition, entry.door_offset)
        if (job_id, *place) in self._refused:
            return None
        first = self._first.get(job_id)
        if first is not None and first[1] == place:
            return None
        if entry.refusal is not None:
            self._refuse(entry)
            return Refuse(entry, entry.refusal)
        digest = bytes.fromhex(entry.job.input_digest)[:8]
        if first is None:
            self._first[job_id] = (digest, place)
            self._waiting[job_id] = Waiting(entry.job.service, entry.request_id, entry.reply_headers, offset)
            return Start(entry)
        if first[0] in (digest, _UNKNOWN):
            return None
        self._refuse(entry)
        reason = ErrorInfo(
            "request_id_reused",
            f"this request id made the job {job_id} with other content or options"
            f" (record {first[1][1]} of partition {first[1][0]})",
            "",
            "use another request id for another request",
        )
        return Refuse(entry, reason, job_id)

    def answered(self, job_id: str, at_ms: int) -> None:
        """Note that the answer of a job was given; its entry may have left the log before."""
        self._waiting.pop(job_id, None)
        digest, place = self._first.setdefault(job_id, (_UNKNOWN, (-1, -1)))
        if job_id not in self._answered:
            self._answered[job_id] = at_ms
            self._news.append(BatchNote(job_id, digest, *place, refused=False))

    def forget(self, before_ms: int) -> None:
        """Forget what was answered or refused before a time; never what waits."""
        for job_id in [*takewhile(lambda one: self._answered[one] < before_ms, self._answered)]:
            del self._answered[job_id], self._first[job_id]
        for record in [*takewhile(lambda one: self._refused[one] < before_ms, self._refused)]:
            del self._refused[record]

    def _refuse(self, entry: BatchEntry) -> None:
        job_id, place = entry.job.job_id, (entry.door_partition, entry.door_offset)
        self._refused[(job_id, *place)] = entry.job.created_at_ms
        self._news.append(BatchNote(job_id, b"", *place, refused=True))
