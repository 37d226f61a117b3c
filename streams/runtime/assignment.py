"""What a worker holds: its partitions, what was read of them, and the requests in their windows."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.events import StageRequest
from streams.log.protocols import Committed, LogRecord, Partition
from streams.runtime.offsets import PartitionOffsets, decode_note, encode_note
from streams.runtime.processor import Result
from streams.spans import NO_SPAN, Span

# A record twice in work when its process died runs alone from then on: if the process dies again, it was this one.
ALONE_AFTER = 2

# Records read but not yet decoded: reading is paused above the first and resumed below the second.
# aiokafka fetches all partitions of a broker together, so what is left in its own buffer would hold
# back the others; hence we take everything, and a full window pauses only its own partition.
_PAUSE_ABOVE = 256
_RESUME_BELOW = 64


@dataclass(slots=True, eq=False)
class Work:
    """One request between its reading and its end. `dropped` says why it was broken off, if it was.

    `dependency` names what it needs that may be down by itself; `outages` and `not_before` are HeldBack's,
    `parked_bytes` is Turns'. `spent` is what the attempt has used by now, as far as its handler told.
    """

    record: LogRecord
    request: StageRequest
    lane: str
    held: "HeldPartition"
    attempt: int = 0
    started_ms: int = 0
    suspect: bool = False
    alone: bool = False
    attempt_committed: bool = False
    dependency: str = ""
    outages: int = 0
    not_before: float = 0.0
    parked_bytes: int = 0
    spent: Result | None = None
    begun: bool = False
    in_handler: bool = False
    dropped: str = ""
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    span: Span = NO_SPAN

    @property
    def offset(self) -> int:
        """The offset of the record."""
        return self.record.offset

    @property
    def is_under_way(self) -> bool:
        """Whether an attempt has begun and has not ended."""
        return self.task is not None and not self.task.done() and self.timer is None


@dataclass(slots=True, eq=False)
class HeldPartition:
    """One assigned partition. `works` by offset; `firsts` holds of each job's works here the one that came first."""

    partition: Partition
    lane: str
    committed: Committed | None
    offsets: PartitionOffsets | None = None
    backlog: deque[LogRecord] = field(default_factory=deque[LogRecord])
    works: dict[int, Work] = field(default_factory=dict[int, Work])
    firsts: dict[str, Work] = field(default_factory=dict[str, Work])
    read_next: int = 0
    paused: bool = False
    lost: bool = False

    def take(self, records: Sequence[LogRecord]) -> bool:
        """Take records as they were read; True when they are the first since the assignment."""
        first = self.offsets is None
        if self.offsets is None:
            note = decode_note(self.committed.offset, self.committed.metadata) if self.committed else None
            # Without a commit (or when retention went past it) reading starts at what is there.
            self.offsets = PartitionOffsets(records[0].offset, note)
        self.backlog.extend(records)
        self.read_next = records[-1].offset + 1
        return first

    def admit(self) -> LogRecord | None:
        """Return the next record that is to be worked on and fits into the window."""
        offsets = self.offsets
        while self.backlog and offsets is not None and offsets.has_room:
            record = self.backlog.popleft()
            if offsets.admit(record.offset):
                return record
        return None

    def should_pause(self) -> bool | None:
        """Whether reading has to be paused (True) or resumed (False); None when it is right as it is."""
        if not self.paused and len(self.backlog) > _PAUSE_ABOVE:
            return True
        if self.paused and len(self.backlog) < _RESUME_BELOW:
            return False
        return None

    def to_commit(self, *, in_use: bool, handing_over: bool) -> Committed | None:
        """Return what to commit, or None when the group has it already.

        While the partition may go to another member (`handing_over`), attempts under way do not count: they are
        broken off when it does, through no fault of the record.
        """
        if self.offsets is None:
            return None
        offset = self.offsets.committable
        open_attempts = [work.offset for work in self.works.values() if work.is_under_way] if handing_over else []
        note = self.offsets.note(in_use=in_use, without=open_attempts)
        wanted = Committed(offset, encode_note(offset, note))
        return None if wanted == self.committed else wanted

    def awaits(self, offset: int) -> bool:
        """Whether the end of an admitted record is this process's to bring about."""
        return not self.lost and self.offsets is not None and self.offsets.is_unfinished(offset)

    def attempts(self, offset: int) -> int:
        """Attempts begun at an unfinished record."""
        return self.offsets.attempts(offset) if self.offsets is not None else 0

    def begin(self, offset: int) -> int:
        """Count an attempt and return its number."""
        assert self.offsets is not None, "a request comes from a record that was read"
        return self.offsets.begin(offset)

    def take_back(self, offset: int) -> None:
        """Uncount an attempt that was broken off through no fault of the record."""
        if self.offsets is not None:
            self.offsets.take_back(offset)

    def park(self, offset: int, *, parked: bool) -> None:
        """Free the place in the window of a record that waits for something that is down, or take it again."""
        if self.offsets is not None:
            (self.offsets.park if parked else self.offsets.unpark)(offset)

    def hold(self, work: Work) -> bool:
        """Keep a request until its end; False for a repeat of one that is kept already, whose end is that one's.

        A caller whose answer was lost asks again, and both requests may come with the same fetch once the log is back.
        The first stands below and unfinished: whatever happens, it is read again, and its end is the job's.
        """
        first = self.firsts.setdefault(work.request.job.job_id, work)
        if first is not work and _is_repeat(first.request, work.request):
            return False
        self.works[work.offset] = work
        return True

    def finish(self, offset: int) -> None:
        """Mark a record as finished."""
        self._forget(offset)
        if self.offsets is not None:
            self.offsets.finish(offset)

    def keep(self, committed: Committed | None) -> list[Work]:
        """The partition came back after a rebalance: reading restarts at what was committed.

        Returns the requests that another member finished meanwhile.
        """
        self.committed = committed
        self.backlog.clear()
        if self.offsets is None or committed is None:
            return []
        return [work for o in self.offsets.advance(committed.offset) if (work := self._forget(o)) is not None]

    def _forget(self, offset: int) -> Work | None:
        work = self.works.pop(offset, None)
        if work is not None and self.firsts.get(job_id := work.request.job.job_id) is work:
            del self.firsts[job_id]
        return work


def _is_repeat(first: StageRequest, other: StageRequest) -> bool:
    a, b = first.job, other.job
    return (a.epoch, first.position, a.input_digest) == (b.epoch, other.position, b.input_digest)
