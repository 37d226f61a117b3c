"""How the originals and the jobs that repeat them ended, read from `results`."""

import asyncio
from collections.abc import AsyncIterator, Container, Mapping
from dataclasses import dataclass, field

from schemas.codec import Codec
from schemas.events import JobResult
from schemas.ids import event_id
from schemas.topics import RESULTS
from streams.log.kafka_times import read_offsets, time_ranges
from streams.log.protocols import Partition
from streams.replay.heads import result_heads

_FOR_EVER = 2**53
_UNINTERRUPTED = 200  # records: some milliseconds, for callers of ingress wait meanwhile


@dataclass(frozen=True, slots=True)
class End:
    """Where the terminal record stands that holds for a job, without what this replay promoted."""

    status: str
    epoch: int
    partition: int
    offset: int


@dataclass(slots=True)
class Outcomes:
    """Ends by job id; `promoted` are the originals that have this replay's result already."""

    ended: dict[str, End] = field(default_factory=dict[str, End])
    promoted: set[str] = field(default_factory=set[str])


def promotion_id(job_id: str, epoch: int, replay_id: str) -> str:
    """Return the event id of the record that makes a replay's result a job's own."""
    return event_id(job_id, epoch, "result", "promote", replay_id)


def is_promotion(result_id: str) -> bool:
    """Tell whether a terminal record made a replay's result a job's own."""
    return ":result:promote:" in result_id


async def read_outcomes(
    bootstrap: str, codec: Codec, replay_id: str, job_ids: Container[str], since_ms: int
) -> Outcomes:
    """Read `results` from a time on and return how these jobs ended, without what they gave. Raises Outage."""
    found = Outcomes()
    mark = f":promote:{replay_id}"
    heads = result_heads(codec)
    ranges = await time_ranges(bootstrap, (RESULTS.name,), since_ms, _FOR_EVER)
    async for batch in read_offsets(bootstrap, {p: (r.start, r.end) for p, r in ranges.items()}):
        for number, record in enumerate(batch):
            if number % _UNINTERRUPTED == 0:
                await asyncio.sleep(0)
            head = heads.read(record.value)
            if head is None or head.job.job_id not in job_ids:
                continue
            job_id, epoch = head.job.job_id, head.job.epoch
            if head.event_id.endswith(mark):
                found.promoted.add(job_id)
                continue
            held = found.ended.get(job_id)
            if held is None or epoch > held.epoch:
                found.ended[job_id] = End(head.status, epoch, record.partition, record.offset)
    return found


async def read_results(bootstrap: str, codec: Codec, ends: Mapping[str, End]) -> dict[str, JobResult]:
    """Return the terminal records of some jobs by job id; what retention has removed since is left out.

    Everything between the first and the last of them is read, so those that ended at about the same time should
    be asked for together. Raises Outage.
    """
    ranges: dict[Partition, tuple[int, int]] = {}
    for end in ends.values():
        place = Partition(RESULTS.name, end.partition)
        first, after = ranges.get(place, (end.offset, end.offset + 1))
        ranges[place] = (min(first, end.offset), max(after, end.offset + 1))
    wanted = {(end.partition, end.offset): job_id for job_id, end in ends.items()}
    found: dict[str, JobResult] = {}
    async for batch in read_offsets(bootstrap, ranges):
        for record in batch:
            if (job_id := wanted.get((record.partition, record.offset))) is not None:
                found[job_id] = codec.decode(record.value or b"", JobResult)
    return found


class Ends:
    """Counts how jobs end, as it happens: statuses by job id, read on from where it was."""

    def __init__(self, bootstrap: str, codec: Codec, job_ids: frozenset[str], since_ms: int) -> None:
        self._bootstrap, self._job_ids, self._since_ms = bootstrap, job_ids, since_ms
        self._heads = result_heads(codec)
        self._next: dict[Partition, int] = {}
        self.statuses: dict[str, str] = {}

    async def advance(self) -> Mapping[str, str]:
        """Read what has come since the last time. Raises Outage."""
        ranges = await time_ranges(self._bootstrap, (RESULTS.name,), self._since_ms, _FOR_EVER)
        due = {p: (max(r.start, self._next.get(p, 0)), r.end) for p, r in ranges.items()}
        async for batch in self._batches(due):
            for value in batch:
                head = self._heads.read(value)
                if head is not None and head.job.job_id in self._job_ids:
                    self.statuses.setdefault(head.job.job_id, head.status)
        self._next = {p: end for p, (_, end) in due.items()}
        return self.statuses

    async def _batches(self, due: Mapping[Partition, tuple[int, int]]) -> AsyncIterator[list[bytes | None]]:
        async for batch in read_offsets(self._bootstrap, due):
            yield [record.value for record in batch]
