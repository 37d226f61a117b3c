"""Proves the usage report: everything is computed again from the log, by a plain consumer, and compared row by row."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from schemas.errors import InvalidInput, Outage, UndecodableRecord
from schemas.events import ChatRequest, JobResult, JobStatus, UsageEvent
from schemas.topics import CHAT_REQUESTS, RESULTS, USAGE_EVENTS
from schemas.usage_admission import admitted_usage
from schemas.usage_ledger import ABORTED, DAY_MS, LedgerEntry, fold_usage
from schemas.usage_query import UsageQuery
from schemas.usage_rows import Amounts, RowId, entry_rows, sum_rows
from streams.log.kafka_range import log_ends, read_range
from streams.log.protocols import Decoder
from streams.metering.reader import UsageReader, UsageUnknown
from streams.tables.folding import Position, check_key

# Attempts before the period decide which one in it is charged.
_LEAD_MS = 2 * DAY_MS
# A job's result and its usage are written together, but not in one step.
_SETTLING_MS = 60_000
# A call may last that long before its usage is due.
_CALL_MS = 15 * 60_000
_NAMED = 20

UNKNOWN_SERVICE = "unknown_service"


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as the log makes it; None stands for no row. `requests` are some that make it."""

    row: RowId
    reported: Amounts | None
    recomputed: Amounts | None
    requests: tuple[str, ...]


@dataclass(slots=True)
class Proof:
    """What was found. Only `differences`, `unmetered` and `wrongly_refused` mean that the report is wrong."""

    events: int = 0
    requests: int = 0
    rows: int = 0
    jobs: int = 0
    calls: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    unmetered: dict[str, str] = field(default_factory=dict[str, str])
    wrongly_refused: list[str] = field(default_factory=list[str])
    conflicts: list[str] = field(default_factory=list[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    reasons: Counter[str] = field(default_factory=Counter[str])
    pending: int = 0

    @property
    def holds(self) -> bool:
        """Whether the report is what the log makes it."""
        return not (self.differences or self.unmetered or self.wrongly_refused)


@dataclass(slots=True)
class _Recomputed:
    """The ledger, made again. `entries` only up to what the report has folded, `steps` of all that is on the log."""

    entries: dict[str, LedgerEntry] = field(default_factory=dict[str, LedgerEntry])
    steps: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    refused: dict[str, str] = field(default_factory=dict[str, str])


async def verify(bootstrap: str, decoder: Decoder, reader: UsageReader, query: UsageQuery, now_ms: int) -> Proof:
    """Compute the report for a period again and compare; jobs that finished in it must have their usage, or a reason.

    Raises Outage when the log or the report cannot be read.
    """
    finished = await log_ends(bootstrap, RESULTS.name)
    asked = await log_ends(bootstrap, CHAT_REQUESTS.name)
    found = await reader.read(replace(query, group_by=("hour",), service=None))
    if isinstance(found, UsageUnknown):
        raise Outage(f"there is no report to verify: {found.reason}", remedy="try again when metering is ready")
    proof = Proof()
    buried = await _buried(bootstrap)
    ledger = await _recompute(bootstrap, decoder, query, found.folded, buried, proof)
    _compare(found.rows, ledger.entries, query, proof)
    await _check_jobs(bootstrap, decoder, query, finished, ledger, now_ms, proof)
    await _check_calls(bootstrap, decoder, query, asked, ledger, now_ms, proof)
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
            if refused:
                proof.refused[refused] += 1
                ledger.refused[event.request_id] = refused
                continue
            if code:
                proof.wrongly_refused.append(event.event_id)
            ledger.steps[event.request_id].add(event.step)
            if record.offset >= folded[record.partition]:
                continue
            proof.events += 1
            before = ledger.entries.get(event.request_id)
            after = fold_usage(before, event, record.offset)
            if before is not None and _conflicts(before, event):
                proof.conflicts.append(event.event_id)
            ledger.entries[event.request_id] = after
    proof.requests = len(ledger.entries)
    return ledger


def _conflicts(entry: LedgerEntry, event: UsageEvent) -> bool:
    """Tell whether the same id was there with another content.

    How long the work took differs by nature, and so does the end of a call that was given up before it came.
    """
    held = next((r.event for r in entry.records if r.event.event_id == event.event_id), None)
    if held is None or (held.outcome == ABORTED) != (event.outcome == ABORTED):
        return False
    return _lasting(held) != _lasting(event)


def _lasting(event: UsageEvent) -> UsageEvent:
    return replace(event, measured_at_ms=0, usage=replace(event.usage, work_seconds=0.0))


def _compare(
    reported: Mapping[RowId, Amounts], entries: Mapping[str, LedgerEntry], query: UsageQuery, proof: Proof
) -> None:
    by_request = {request: entry_rows(entry) for request, entry in entries.items()}
    every = sum_rows(by_request.values())
    recomputed = {row: amounts for row, amounts in every.items() if query.from_ms <= row.start_ms < query.to_ms}
    proof.rows = len(recomputed)
    for row in sorted(reported.keys() | recomputed.keys()):
        said, is_so = reported.get(row), recomputed.get(row)
        if said != is_so:
            named = (request for request, rows in by_request.items() if row in rows)
            proof.differences.append(Difference(row, said, is_so, tuple(sorted(named))[:_NAMED]))


async def _check_jobs(
    bootstrap: str,
    decoder: Decoder,
    query: UsageQuery,
    finished: Mapping[int, int],
    ledger: _Recomputed,
    now_ms: int,
    proof: Proof,
) -> None:
    seen: set[str] = set()
    async for batch in read_range(bootstrap, RESULTS.name, finished, since_ms=query.from_ms):
        for record in batch:
            try:
                result = await decoder.decode(record.value or b"", JobResult)
            except UndecodableRecord:
                continue  # job-state puts it into the dead letters
            at_ms = result.finished_at_ms
            if result.job.job_id in seen or not query.from_ms <= at_ms < query.to_ms:
                continue
            seen.add(result.job.job_id)
            missing = _missing(result, ledger)
            if missing and now_ms - record.timestamp_ms < _SETTLING_MS:
                proof.pending += 1
            elif missing:
                reason = _reason(result, ledger)
                if reason:
                    proof.reasons[reason] += 1
                else:
                    proof.unmetered[result.job.job_id] = missing
    proof.jobs = len(seen)


async def _check_calls(
    bootstrap: str,
    decoder: Decoder,
    query: UsageQuery,
    asked: Mapping[int, int],
    ledger: _Recomputed,
    now_ms: int,
    proof: Proof,
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
                proof.reasons[f"refused: {ledger.refused[call.request_id]}"] += 1
            elif now_ms - record.timestamp_ms < _CALL_MS:
                proof.pending += 1
            else:
                proof.unmetered[call.request_id] = "a call without usage"


def _missing(result: JobResult, ledger: _Recomputed) -> str:
    """Return what is missing of a job's usage, for people; empty when nothing is."""
    have = ledger.steps.get(result.job.job_id, set[str]())
    if result.status == JobStatus.DONE:
        steps = [step.name for step in result.steps if step.name not in have]
        return f"done without usage of {', '.join(steps)}" if steps else ""
    return "" if have else f"{result.status} without any usage"


def _reason(result: JobResult, ledger: _Recomputed) -> str:
    """Return why there is no usage; empty when there is no reason for that."""
    refused = ledger.refused.get(result.job.job_id)
    if refused:
        return f"refused: {refused}"
    if result.status == JobStatus.CANCELLED:
        return "cancelled before work began"
    if result.status == JobStatus.FAILED and result.error is not None:
        return f"failed: {result.error.code}"
    return ""
