"""The usage ledger as a fold over `usage.events`: what each request used, and what of it is charged.

The fold does not mind repeats or order. An id is kept once for each attempt that bore it: what is charged beats waste,
a measured record an `aborted` one, then the lowest offset holds. Of the attempts at one step one is charged; which one
follows from the records alone. Everything else that was really used is waste: visible, and not charged.

Records whose digest differs belong to different submissions under one idempotency key, which happens only while Redis
is away. They are kept apart; the submission that was created first is charged, and the others' work is waste.
"""

from collections.abc import Iterable, Sequence

from schemas.events import Lane, UsageEvent
from schemas.values import value

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HORIZON_MS = 35 * DAY_MS
"""How long after its measurement an event is still taken, and repeats of it are recognised."""

SETTLED_MS = HORIZON_MS + 2 * DAY_MS
"""How long after a request's first measurement its days are taken to be closed: what changes then is a correction."""

ABORTED = "aborted"
_DONE = "done"
_FAILED = "failed"


@value
class LedgerRecord:
    """A usage record and the offset that it has on the log."""

    offset: int
    event: UsageEvent


@value
class LedgerEntry:
    """The usage records of one job or request, ordered by id, digest and begin."""

    records: tuple[LedgerRecord, ...]


def fold_usage(entry: LedgerEntry | None, event: UsageEvent, offset: int) -> LedgerEntry:
    """Return the entry with `event`, which stands at `offset` of its partition.

    Returns `entry` itself when the event adds nothing, so that a caller can skip the write.
    """
    found = LedgerRecord(offset, event)
    if entry is None:
        return LedgerEntry((found,))
    same = _identity(found)
    held = next((r for r in entry.records if _identity(r) == same), None)
    if held is not None and _precedence(held) <= _precedence(found):
        return entry
    others = [r for r in entry.records if r is not held]
    return LedgerEntry(tuple(sorted((*others, found), key=_identity)))


def charged(entry: LedgerEntry) -> tuple[LedgerRecord, ...]:
    """Return the records that are charged: at most one for each step, of one submission, none of a replay."""
    candidates = [r for r in entry.records if not r.event.waste and r.event.lane != Lane.REPLAY]
    if len(candidates) < 2:
        return tuple(candidates)
    digest = _first_submitted(candidates)
    chosen: dict[str, LedgerRecord] = {}
    for record in candidates:
        event = record.event
        if event.digest not in ("", digest):  # writers of before tell none
            continue
        held = chosen.get(event.step)
        if held is None or _charge_order(record) < _charge_order(held):
            chosen[event.step] = record
    return tuple(chosen.values())


def ending(records: tuple[LedgerRecord, ...]) -> LedgerRecord | None:
    """Return the one among the charged records with which the request is counted; None while it goes on."""
    final = [r for r in records if r.event.final]
    if len(final) < 2:
        return final[0] if final else None
    return min(final, key=lambda r: (-r.event.epoch, r.offset))


def may_go_on(entry: LedgerEntry) -> bool:
    """Tell whether a dead letter of the request may still be replayed: it has no end, or one that failed."""
    last = ending(charged(entry))
    return last is None or last.event.outcome == _FAILED


def late_times(entry: LedgerEntry) -> Sequence[int]:
    """Return, in order, when those records were measured that came when the first had long been settled.

    Empty where everything came in time, as nearly always.
    """
    if len(entry.records) < 2:
        return ()
    times = {r.event.measured_at_ms for r in entry.records}
    settled_ms = min(times) + SETTLED_MS
    return sorted(at_ms for at_ms in times if at_ms >= settled_ms)


def measured_before(entry: LedgerEntry, before_ms: int) -> LedgerEntry:
    """Return what of an entry was measured before a time."""
    return LedgerEntry(tuple(r for r in entry.records if r.event.measured_at_ms < before_ms))


def last_measured_ms(entry: LedgerEntry) -> int:
    """Return the time of the latest record."""
    return max(r.event.measured_at_ms for r in entry.records)


def _identity(record: LedgerRecord) -> tuple[str, str, int]:
    # An attempt whose end was not committed is made again under its number: two ends that were both worked for.
    return record.event.event_id, record.event.digest, record.event.started_at_ms


def _first_submitted(records: Iterable[LedgerRecord]) -> str:
    made = [(r.event.created_at_ms, r.event.digest) for r in records if r.event.digest]
    return min(made)[1] if made else ""


def _precedence(record: LedgerRecord) -> tuple[bool, bool, int]:
    return record.event.waste, record.event.outcome == ABORTED, record.offset


def _charge_order(record: LedgerRecord) -> tuple[int, bool, bool, int]:
    # A replayed dead letter (a higher epoch) takes the place of the attempt that failed.
    event = record.event
    return -event.epoch, event.outcome == ABORTED, event.outcome != _DONE, record.offset
