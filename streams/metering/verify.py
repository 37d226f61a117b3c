"""Proves the usage report: everything is computed again from the log, by a plain consumer, and compared row by row."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from schemas.errors import InvalidInput, Outage, UndecodableRecord
from schemas.events import ChatRequest, JobEvent, JobEventKind, JobResult, JobStatus, UsageEvent
from schemas.prices import PriceList
from schemas.topics import CHAT_REQUESTS, JOB_EVENTS, RESULTS, USAGE_EVENTS
from schemas.usage_admission import FUTURE_MS, admitted_usage
from schemas.usage_ledger import ABORTED, DAY_MS, LedgerEntry, fold_usage
from schemas.usage_query import UsageQuery
from streams.log.kafka_range import log_ends, read_range
from streams.log.kafka_tail import key_text
from streams.log.kafka_times import time_ranges
from streams.log.protocols import Decoder
from streams.metering.ends import Measured, Metered, excuse, measured, missing_steps, unmetered, unread
from streams.metering.ledger import KEPT_MS
from streams.metering.proof import Proof, checked_since, compare
from streams.metering.reader import UsageReader, UsageUnknown
from streams.metering.services import services_since
from streams.quota.replicas import HEADER, Replicas
from streams.replay.outcomes import is_promotion
from streams.tables.folding import Position, check_key

# Attempts before the period decide which one in it is charged: as long as the ledger has them.
_LEAD_MS = KEPT_MS + 2 * DAY_MS
# A job's result and its usage are written together, but not in one step.
_SETTLING_MS = 60_000
# Of a replica that is gone, a call's usage is due after that.
_CALL_MS = 15 * 60_000
_AT_WORK = frozenset({JobEventKind.STAGE_STARTED, JobEventKind.PROGRESS, JobEventKind.STAGE_DONE})

UNKNOWN_SERVICE = "unknown_service"


@dataclass(slots=True)
class _Recomputed:
    """The ledger, made again.

    `entries` only up to what the report has folded; of all that is on the log and no waste `steps`, and by step the
    codes of what was `refused`.
    """

    entries: dict[str, LedgerEntry] = field(default_factory=dict[str, LedgerEntry])
    steps: dict[str, dict[str, set[Measured]]] = field(default_factory=dict[str, dict[str, set[Measured]]])
    refused: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict[str, dict[str, str]](dict))


async def verify(
    bootstrap: str,
    decoder: Decoder,
    reader: UsageReader,
    query: UsageQuery,
    now_ms: int,
    prices: PriceList | None,
    replicas: Replicas,
) -> Proof:
    """Compute the report for a period again and compare; jobs that finished in it must have their usage, or a reason.

    `prices` are those that budgets are counted with; without them money is not compared. `replicas` are in touch
    now: their calls may still be open.

    Raises Outage when the log or the report cannot be read.
    """
    finished = await log_ends(bootstrap, RESULTS.name)
    asked = await log_ends(bootstrap, CHAT_REQUESTS.name)
    found = await reader.read_all(replace(query, service=None))
    if isinstance(found, UsageUnknown):
        raise Outage(f"there is no report to verify: {found.reason}", remedy="try again when metering is ready")
    proof = Proof(money=prices is not None)
    kept = await time_ranges(bootstrap, (RESULTS.name, CHAT_REQUESTS.name), query.from_ms, query.to_ms)
    proof.jobs_since_ms, proof.calls_since_ms = (
        checked_since([at for place, at in kept.items() if place.topic == topic.name], query.from_ms, now_ms)
        for topic in (RESULTS, CHAT_REQUESTS)
    )
    buried = await _buried(bootstrap)
    ledger = await _recompute(bootstrap, decoder, query, found.folded, buried, proof)
    compare(found, ledger.entries, query, prices, now_ms, proof)
    await _check_jobs(bootstrap, decoder, query, finished, ledger, now_ms, proof)
    await _check_calls(bootstrap, decoder, query, asked, ledger, now_ms, proof, replicas)
    return proof


async def _buried(bootstrap: str) -> dict[tuple[int, int], str]:
    """Return the codes of the events that metering refused, by partition and offset."""
    topic = USAGE_EVENTS.dead_letters
    buried: dict[tuple[int, int], str] = {}
    async for batch in read_range(bootstrap, topic, await log_ends(bootstrap, topic)):
        for letter in batch:
            place = (letter.headers.get("dlt.partition", b""), letter.headers.get("dlt.offset", b""))
            if all(part.isdigit() for part in place):
                buried[int(place[0]), int(place[1])] = letter.headers.get("dlt.error.code", b"").decode()
    return buried


async def _recompute(
    bootstrap: str,
    decoder: Decoder,
    query: UsageQuery,
    folded: Sequence[int],
    buried: Mapping[tuple[int, int], str],
    proof: Proof,
) -> _Recomputed:
    ledger = _Recomputed()
    ends = await log_ends(bootstrap, USAGE_EVENTS.name)
    since_ms = query.from_ms - _LEAD_MS
    since = await services_since(bootstrap, decoder) if UNKNOWN_SERVICE in buried.values() else {}
    doubted: set[str] = set()  # refused for an unknown service that was known by then
    async for batch in read_range(bootstrap, USAGE_EVENTS.name, ends, since_ms=since_ms):
        for record in batch:
            code = buried.get((record.partition, record.offset), "")
            try:
                event = await decoder.decode(record.value or b"", UsageEvent)
            except UndecodableRecord as e:
                proof.refused[e.code] += 1
                continue
            try:
                check_key(Position(record.topic, record.partition, record.offset), record.key, event.request_id)
                event = admitted_usage(event, record.timestamp_ms)
            except (InvalidInput, UndecodableRecord) as e:
                refused = e.code
            else:
                refused = code if code == UNKNOWN_SERVICE else ""
                if refused and since.get(event.service, record.timestamp_ms) < record.timestamp_ms:
                    proof.refused[refused] += 1
                    doubted.add(event.event_id)
                    continue
            if refused:
                proof.refused[refused] += 1
                if not event.waste:
                    ledger.refused[event.request_id][event.step] = refused
                continue
            if code:
                proof.wrongly_refused.append(event.event_id)
            doubted.discard(event.event_id)  # its dead letter was replayed
            if not event.waste:
                ledger.steps.setdefault(event.request_id, {}).setdefault(event.step, set()).add(measured(event))
            if record.offset >= folded[record.partition]:
                continue
            proof.events += 1
            before = ledger.entries.get(event.request_id)
            after = fold_usage(before, event, record.offset)
            if before is not None and _conflicts(before, event):
                proof.conflicts.append(event.event_id)
            ledger.entries[event.request_id] = after
    proof.requests = len(ledger.entries)
    proof.wrongly_refused += sorted(doubted)
    return ledger


def _conflicts(entry: LedgerEntry, event: UsageEvent) -> bool:
    """Tell whether the same id was there with another content, or for another submission under the same key.

    How long the work took differs by nature, and so does the end of a call that was given up before it came.
    """
    held = next((r.event for r in entry.records if r.event.event_id == event.event_id), None)
    if held is None or (held.outcome == ABORTED) != (event.outcome == ABORTED):
        return False
    return _lasting(held) != _lasting(event)


def _lasting(event: UsageEvent) -> UsageEvent:
    return replace(event, measured_at_ms=0, created_at_ms=0, usage=replace(event.usage, work_seconds=0.0))


async def _check_jobs(
    bootstrap: str,
    decoder: Decoder,
    query: UsageQuery,
    finished: Mapping[int, int],
    ledger: _Recomputed,
    now_ms: int,
    proof: Proof,
) -> None:
    seen: set[tuple[str, int]] = set()
    cancelled: list[JobResult] = []
    async for batch in read_range(bootstrap, RESULTS.name, finished, since_ms=query.from_ms):
        for record in batch:
            try:
                result = await decoder.decode(record.value or b"", JobResult)
            except UndecodableRecord:
                continue  # job-state puts it into the dead letters
            at_ms = result.finished_at_ms
            # Of each epoch the first end holds: a replayed dead letter makes another.
            end = (result.job.job_id, result.job.epoch)
            if end in seen or not query.from_ms <= at_ms < query.to_ms:
                continue
            seen.add(end)
            if is_promotion(result.event_id):
                proof.reasons["promoted: its usage is the replay's"] += 1
            elif now_ms - record.timestamp_ms < _SETTLING_MS:
                missing = missing_steps(result, _metered(result, ledger), frozenset())
                proof.pending += bool(missing or unread(result, _metered(result, ledger).keys()))
            elif result.status == JobStatus.CANCELLED:
                cancelled.append(result)
            else:
                _judge(result, ledger, frozenset(), proof)
    begun = await _begun(bootstrap, decoder, [r for r in cancelled if not _is_whole(r, ledger)])
    for result in cancelled:
        _judge(result, ledger, begun[result.job.job_id], proof)
    proof.jobs = len({job_id for job_id, _ in seen})


def _judge(result: JobResult, ledger: _Recomputed, begun: AbstractSet[str], proof: Proof) -> None:
    metered, refused = _metered(result, ledger), ledger.refused.get(result.job.job_id, {})
    missing = missing_steps(result, metered, begun)
    reason = excuse(missing, refused) if missing else unread(result, metered.keys() | refused.keys())
    if reason:
        proof.reasons[reason] += 1
    elif missing:
        proof.unmetered[result.job.job_id] = unmetered(result, missing)


def _metered(result: JobResult, ledger: _Recomputed) -> Metered:
    return ledger.steps.get(result.job.job_id, {})


def _is_whole(result: JobResult, ledger: _Recomputed) -> bool:
    return {step.name for step in result.steps} <= _metered(result, ledger).keys()


async def _begun(bootstrap: str, decoder: Decoder, results: Sequence[JobResult]) -> defaultdict[str, set[str]]:
    """Return the steps of these jobs that the log knows work to have begun on."""
    begun: defaultdict[str, set[str]] = defaultdict(set)
    if not results:
        return begun
    jobs = {result.job.job_id for result in results}
    since_ms = min(result.job.created_at_ms for result in results) - FUTURE_MS
    ends = await log_ends(bootstrap, JOB_EVENTS.name)
    async for batch in read_range(bootstrap, JOB_EVENTS.name, ends, since_ms=since_ms):
        for record in batch:
            if key_text(record.key) not in jobs:
                continue
            try:
                event = await decoder.decode(record.value or b"", JobEvent)
            except UndecodableRecord:
                continue
            if event.kind in _AT_WORK:
                begun[event.job.job_id].add(event.step)
    return begun


async def _check_calls(
    bootstrap: str,
    decoder: Decoder,
    query: UsageQuery,
    asked: Mapping[int, int],
    ledger: _Recomputed,
    now_ms: int,
    proof: Proof,
    replicas: Replicas,
) -> None:
    async for batch in read_range(bootstrap, CHAT_REQUESTS.name, asked, since_ms=query.from_ms):
        for record in batch:
            try:
                call = await decoder.decode(record.value or b"", ChatRequest)
            except UndecodableRecord:
                continue
            if not query.from_ms <= call.requested_at_ms < query.to_ms:
                continue
            proof.calls += 1
            if call.request_id in ledger.steps:
                continue
            if call.request_id in ledger.refused:
                codes = sorted(set(ledger.refused[call.request_id].values()))
                proof.reasons[f"refused: {', '.join(codes)}"] += 1
            elif now_ms - record.timestamp_ms < _CALL_MS or replicas.may_have(
                record.headers.get(HEADER, b"").decode(errors="replace"), record.timestamp_ms, now_ms
            ):
                proof.pending += 1
            else:
                proof.unmetered[call.request_id] = "a call without usage"
