"""Plans a replay: reads the log by time, keeps what the filters leave, one record a job."""

import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import orjson

from schemas.codec import Codec
from schemas.errors import InvalidInput
from schemas.events import Lane, StageOutcome, StageRequest
from schemas.replays import ReplayRequest
from schemas.retention import blob_lifetime
from schemas.services import ServiceSettings
from schemas.topics import RESULTS, StageTopics
from streams.log.kafka_times import Range, Raw, read_offsets, time_ranges
from streams.log.protocols import Partition
from streams.replay.heads import HeadReader, StageHead, result_heads, stage_heads

DAY_MS = 86_400_000


class Item(NamedTuple):
    """One job to be done again, and where the record stands that it begins from."""

    topic: str
    partition: int
    offset: int
    original: str


@dataclass(slots=True)
class Plan:
    """What planning found; `items` are in the order of the log, `records` is what was read for it."""

    records: int = 0
    items: list[Item] = field(default_factory=list[Item])
    skipped: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0


def encode_items(items: list[Item]) -> bytes:
    """Return items as JSON, as they are kept."""
    return orjson.dumps([tuple(item) for item in items])


def decode_items(raw: bytes) -> list[Item]:
    """Read what `encode_items` wrote."""
    return [Item(*item) for item in orjson.loads(raw)]


def record_of(topic: str, stages: Mapping[str, StageTopics]) -> type[StageRequest] | type[StageOutcome]:
    """Return what stands on a topic that can be replayed."""
    done = any(s.done is not None and s.done.name == topic for s in stages.values())
    return StageOutcome if done else StageRequest


async def look(bootstrap: str, request: ReplayRequest, retention: timedelta, now_ms: int) -> dict[Partition, Range]:
    """Return where the records stand; said before anything starts: what is no longer there, and that nothing is.

    Raises InvalidInput (`range_removed`, `empty_range`) and Outage.
    """
    ranges = await time_ranges(bootstrap, request.topics, request.since_ms, request.until_ms)
    check_range(request, ranges, retention, now_ms)
    return ranges


def check_range(request: ReplayRequest, ranges: Mapping[Partition, Range], retention: timedelta, now_ms: int) -> None:
    """See that the log holds the period as a whole, and something in it; see `look`."""
    oldest_kept = now_ms - int(retention.total_seconds() * 1000)
    gone = [r for r in ranges.values() if r.first > 0 and request.since_ms < (r.first_ms or oldest_kept)]
    topics = " and ".join(request.topics)
    if gone and request.since_ms and request.since_ms < oldest_kept:
        begin = max(r.first_ms or oldest_kept for r in gone)
        raise InvalidInput(
            f"retention ({retention.days} days) has removed a part of this period from {topics}",
            code="range_removed",
            remedy=f"begin later: everything is there from --since {_iso(begin)} on",
        )
    if all(r.start >= r.end for r in ranges.values()):
        raise InvalidInput(
            f"{topics} holds no record from {_iso(request.since_ms)} to {_iso(request.until_ms)}",
            code="empty_range",
            remedy="choose another period or topic; ./gateway topics tells what they hold",
        )


def check_lifetime(request: ReplayRequest, service: ServiceSettings, job_ttl: timedelta, now_ms: int) -> None:
    """See that the service whose jobs are asked for keeps its files for the period, where it names its beginning.

    Raises InvalidInput (`range_removed`).
    """
    if not request.service or not request.since_ms:
        return
    kept = blob_lifetime(service, job_ttl)
    oldest_kept = now_ms - int(kept.total_seconds() * 1000)
    if request.since_ms < oldest_kept:
        raise InvalidInput(
            f"the service {request.service} keeps its jobs' files for {kept.days} days: they are gone for a part of"
            " this period",
            code="range_removed",
            remedy=f"begin later: files are kept from --since {_iso(oldest_kept)} on",
        )


async def plan(
    bootstrap: str, request: ReplayRequest, stages: Mapping[str, StageTopics], codec: Codec, purged: Container[str]
) -> Plan:
    """Read the period and return what is to be done again; nothing of jobs that were purged. Raises Outage."""
    began = time.monotonic()
    found = Plan()
    statuses = await _statuses(bootstrap, request, codec, found) if request.status else None
    reader = stage_heads(record_of(request.topics[0], stages), codec)
    ranges = await time_ranges(bootstrap, request.topics, request.since_ms, request.until_ms)
    chosen: dict[str, tuple[int, int, Item]] = {}
    async for batch in read_offsets(bootstrap, {p: (r.start, r.end) for p, r in ranges.items()}):
        found.records += len(batch)
        _choose(batch, reader, request, statuses, chosen, found.skipped)
    for job_id in [job_id for job_id in chosen if job_id in purged]:
        del chosen[job_id]
        found.skipped["purged"] += 1
    kept = list(chosen.values())
    if request.limit and len(kept) > request.limit:
        kept = sorted(kept, key=lambda one: (one[1], one[2].original))[: request.limit]
        found.skipped["over_limit"] = len(chosen) - request.limit
    found.items = sorted(item for _, _, item in kept)
    found.seconds = time.monotonic() - began
    return found


def _choose(
    batch: Sequence[Raw],
    reader: HeadReader[StageHead],
    request: ReplayRequest,
    statuses: Mapping[str, str] | None,
    chosen: dict[str, tuple[int, int, Item]],
    skipped: Counter[str],
) -> None:
    for record in batch:
        if not request.since_ms <= record.timestamp < request.until_ms:
            continue
        head = reader.read(record.value)
        reason = "undecodable" if head is None else _unfit(head, request, statuses)
        if head is None or reason:
            skipped[reason] += 1
            continue
        job = head.job
        held = chosen.get(job.job_id)
        # Repeats, and a dead letter's replay: the latest epoch, and of that the first record.
        if held is None or held[0] < job.epoch:
            item = Item(record.topic, record.partition, record.offset, job.job_id)
            chosen[job.job_id] = (job.epoch, record.timestamp, item)


def _unfit(head: StageHead, request: ReplayRequest, statuses: Mapping[str, str] | None) -> str:
    job = head.job
    if job.lane == Lane.REPLAY:
        return "of_a_replay"
    if request.service and job.service != request.service:
        return "other_service"
    if request.of_module and job.module != request.of_module:
        return "other_module"
    if statuses is not None and statuses.get(job.job_id) != request.status:
        return "other_status"
    return ""


async def _statuses(bootstrap: str, request: ReplayRequest, codec: Codec, found: Plan) -> dict[str, str]:
    """Return how jobs ended: the highest epoch, then the lowest offset, holds."""
    reader = result_heads(codec)
    ranges = await time_ranges(bootstrap, (RESULTS.name,), request.since_ms, 2**53)
    held: dict[str, tuple[int, int, str]] = {}
    async for batch in read_offsets(bootstrap, {p: (r.start, r.end) for p, r in ranges.items()}):
        found.records += len(batch)
        for record in batch:
            head = reader.read(record.value)
            if head is None:
                continue
            rank = (head.job.epoch, -record.offset)
            if head.job.job_id not in held or held[head.job.job_id][:2] < rank:
                held[head.job.job_id] = (*rank, head.status)
    return {job_id: status for job_id, (_, _, status) in held.items()}


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
