"""The ledger's table: an entry for each job or call, the rows that follow from them, and days that are closed.

A day is closed when the log's own time says that no event of it can be taken any more. Its rows are then
kept as they are, in the same table, and the entries that have nothing later are removed.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from datetime import timedelta

from schemas.closed_days import ClosedDay, closed_row, open_row
from schemas.codec import Codec, UnknownFingerprint
from schemas.errors import InvalidInput, UndecodableRecord
from schemas.events import UsageEvent
from schemas.topics import DEAD_LETTER_RETENTION, LEDGER_RETENTION, WORK_RETENTION
from schemas.usage_admission import admitted_usage
from schemas.usage_ledger import (
    DAY_MS,
    HORIZON_MS,
    LedgerEntry,
    charged,
    ending,
    fold_usage,
    last_measured_ms,
    may_go_on,
)
from schemas.usage_rows import Amounts, RowId, add_difference, day_start_ms, entry_rows
from streams.log.protocols import Decoder, LogRecord
from streams.metering.counters import UsageCounters
from streams.metering.price_file import BudgetPrices
from streams.metering.rows import UsageRows, settlement
from streams.metering.services import KnownServices
from streams.metrics import LEDGER_ENTRIES, LEDGER_FOLDED, LEDGER_ROWS
from streams.tables.folding import Position, check_key
from streams.tables.job_states import States
from streams.tables.partitions import job_partition
from streams.tables.rounds import Rounds
from streams.tables.table_process import Change, Contents, Taken

GROUP = "metering"

_CLOSED = b"\x00closed:"
_LOOKED_AT = 500  # entries a turn, so that removing old ones costs no pause
# A day more than SETTLED_MS: what is no correction and was logged within a day finds the days it changes open.
_CLOSING_MARGIN_MS = 3 * DAY_MS

KEPT_MS = (DEAD_LETTER_RETENTION + WORK_RETENTION) // timedelta(milliseconds=1)
"""How long a request that failed is remembered, for its dead letter may be replayed; others until their days close."""

ROWS_KEPT_MS = LEDGER_RETENTION // timedelta(milliseconds=1) + 3 * DAY_MS
"""How long a day's rows are kept after it: as long as the log can prove them, and the margin of the longest report."""


class Ledger(Contents[UsageEvent]):
    """Folds usage events; see Contents."""

    name = GROUP

    def __init__(
        self,
        store: MutableMapping[bytes, bytes],
        codec: Codec,
        decoder: Decoder,
        services: KnownServices,
        rows: UsageRows,
        prices: BudgetPrices | None = None,
    ) -> None:
        self._store, self._codec, self._decoder, self._services = store, codec, decoder, services
        self._entries = States(store, codec, LedgerEntry)
        self._closed: dict[int, set[int]] = {}
        self._closed_keys: dict[bytes, int] = {}
        self._rows = rows
        self._prices, self._repriced = prices, False
        self._counters = UsageCounters(rows.spent.cost)
        self._rounds = Rounds(self._kept_with_closed_days, _LOOKED_AT)
        # Days that are no longer kept: first their rows leave Redis, then the day leaves the table.
        self._emptied: dict[tuple[int, int], frozenset[bytes]] = {}
        self._shown_empty: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def fetched(self, records: Sequence[LogRecord]) -> None:
        """Take note of the log's time."""
        self._services.use_is_logged(max((record.timestamp_ms for record in records), default=0))

    async def decode(self, record: LogRecord) -> UsageEvent:
        """Return the event; UndecodableRecord or InvalidInput when the ledger can never take it."""
        try:
            event = self._codec.decode(record.value or b"", UsageEvent)
        except UnknownFingerprint:
            event = await self._decoder.decode(record.value or b"", UsageEvent)
        check_key(Position(record.topic, record.partition, record.offset), record.key, event.request_id)
        event = admitted_usage(event, record.timestamp_ms)
        if not await self._services.knows(event.service, record.timestamp_ms):
            raise InvalidInput(
                f"there is no service {event.service!r}",
                code="unknown_service",
                remedy="make it known with ./gateway keys create --service, then replay the dead letter",
            )
        return event

    def take(self, batch: Iterable[tuple[LogRecord, UsageEvent]]) -> Taken:
        """Fold events; each changed entry is written once."""
        changed: dict[tuple[int, bytes], LedgerEntry] = {}
        shown: dict[int, dict[bytes, bytes]] = {}
        # Added up before they are moved: many events of a batch make one row.
        moved: dict[int, dict[RowId, Amounts]] = {}
        folded = 0
        for record, event in batch:
            partition, key = record.partition, event.request_id.encode()
            before = changed.get((partition, key)) or self._entries.get(key)
            after = fold_usage(before, event, record.offset)
            keys = shown.setdefault(partition, {})
            keys[self._rows.logged(partition, record.timestamp_ms)] = b""
            if after is not before:
                changed[partition, key] = after
                old = self._open(partition, entry_rows(before)) if before is not None else {}
                new = self._open(partition, entry_rows(after))
                add_difference(moved.setdefault(partition, {}), old, new)
                self._counters.count(old, new)
                if ending(charged(after)) is not None:
                    keys[settlement(event.service, event.request_id)] = b""
            folded += 1
        for partition, difference in moved.items():
            shown[partition].update(dict.fromkeys(self._rows.move(partition, difference), b""))
        changes: list[Change] = [(p, key, self._entries.put(p, key, entry)) for (p, key), entry in changed.items()]
        for rows in shown.values():
            for key in rows:
                rows[key] = self._rows.get(key)
        self._counters.tell()
        LEDGER_FOLDED.inc(folded)
        LEDGER_ENTRIES.set(len(self._entries))
        LEDGER_ROWS.set(len(self._rows))
        return Taken(changes, shown)

    def settled(self, request_id: str) -> bool | None:
        """Tell whether a request has ended; None when its partition is not held here."""
        partition = job_partition(request_id)
        if partition not in self._closed:
            return None
        entry = self._entries.peek(request_id.encode())
        return entry is not None and ending(charged(entry)) is not None

    def outdated(self) -> Mapping[int, Iterable[bytes]]:
        """Return the sums of all partitions when prices have changed, and the rows of days that are no longer kept."""
        self._reprice()
        found: dict[int, set[bytes]] = {}
        if self._repriced:
            found = {p: set(self._rows.spent.keys(p)) for p in self._closed}
        for (partition, _), keys in self._emptied.items():
            found.setdefault(partition, set()).update(keys)
        return found

    def shown_again(self) -> None:
        """Take note that these stand in Redis as they are, or no longer stand there."""
        self._repriced = False
        for (partition, _), keys in self._emptied.items():
            self._rows.forget(partition, keys)
        self._shown_empty += self._emptied
        self._emptied.clear()

    def _reprice(self) -> None:
        found = self._prices.changed() if self._prices is not None else None
        if found is not None:
            self._rows.spent.reprice(found, self._rows.hours())
            self._repriced = True

    def recovered(self, partition: int, key: bytes, present: bool) -> None:
        """Take note of a record that was recovered from the changelog."""
        if not key.startswith(_CLOSED):
            self._entries.recovered(partition, key, present)
        elif present:
            self._closed_keys[key] = partition
        else:
            self._closed_keys.pop(key, None)

    def settle(self, partitions: frozenset[int]) -> None:
        """Derive the rows of these partitions from the closed days and, for all others, from the entries."""
        self._entries.settle(partitions)
        self._rows.clear(partitions)
        self._emptied.clear()
        self._shown_empty.clear()
        # Before anything is added up: rows that are rebuilt from here must not say that it was for nothing.
        self._reprice()
        self._closed = {p: set() for p in partitions}
        for key, partition in tuple(self._closed_keys.items()):
            if partition in partitions:
                self._reopen(partition, self._store[key])
            else:
                del self._closed_keys[key]
                self._store.pop(key, None)
        for partition in partitions:
            # Added up before they are moved: many entries make one row.
            summed: dict[RowId, Amounts] = {}
            newest_ms = 0
            for key in self._entries.keys(partition):
                entry = self._entries.peek(key)
                if entry is None:
                    continue
                add_difference(summed, {}, self._open(partition, entry_rows(entry)))
                newest_ms = max(newest_ms, last_measured_ms(entry))
            self._rows.logged(partition, newest_ms)
            self._rows.move(partition, summed)
        LEDGER_ENTRIES.set(len(self._entries))
        LEDGER_ROWS.set(len(self._rows))

    async def tidy(self) -> list[Change]:
        """Close days, remove those that are too old, then entries that only closed days need; a bit at a time."""
        if self._shown_empty:
            gone = [self._remove_day(*day) for day in self._shown_empty]
            self._shown_empty.clear()
            return gone
        for partition in self._closed:
            closable = self._closable_before(partition)
            due = [d for d in self._rows.days(partition) - self._closed[partition] if d + DAY_MS <= closable]
            if due:
                return [self._close(partition, min(due))]
            over_ms = self._rows.logged_ms(partition) - ROWS_KEPT_MS
            over = [d for d in self._closed[partition] if d + DAY_MS <= over_ms]
            if over and (day := (partition, min(over))) not in self._emptied:
                self._emptied[day] = self._rows.empty_day(*day)
        return self._expire()

    def _remove_day(self, partition: int, start_ms: int) -> Change:
        key = _closed_key(partition, start_ms)
        self._store.pop(key, None)
        self._closed_keys.pop(key, None)
        self._closed[partition].discard(start_ms)
        return partition, key, None

    def _closable_before(self, partition: int) -> int:
        return self._rows.logged_ms(partition) - HORIZON_MS - _CLOSING_MARGIN_MS

    def _close(self, partition: int, start_ms: int) -> Change:
        rows = tuple(closed_row(row, amounts) for row, amounts in self._rows.hours_of_day(partition, start_ms))
        key = _closed_key(partition, start_ms)
        value = self._store[key] = self._codec.encode(ClosedDay(partition, start_ms, rows))
        self._closed_keys[key] = partition
        self._closed[partition].add(start_ms)
        return partition, key, value

    def _reopen(self, partition: int, value: bytes) -> None:
        try:
            day = self._codec.decode(value, ClosedDay)
        except UndecodableRecord as e:
            raise RuntimeError(f"a closed day of partition {partition} cannot be read: {e.message}") from e
        self._closed[partition].add(day.start_ms)
        self._rows.move(partition, dict(open_row(row) for row in day.rows))

    def _expire(self) -> list[Change]:
        gone: list[Change] = []
        for partition, key in self._rounds.some():
            entry = self._entries.peek(key)
            closed = self._closed.get(partition)
            if entry is None or not closed or day_start_ms(last_measured_ms(entry)) not in closed:
                continue
            if self._rows.logged_ms(partition) - last_measured_ms(entry) > KEPT_MS or not may_go_on(entry):
                self._entries.remove(partition, key)
                gone.append((partition, key, None))
        return gone

    def _kept_with_closed_days(self) -> Iterator[tuple[int, bytes]]:
        return self._entries.everything() if any(self._closed.values()) else iter(())

    def _open(self, partition: int, rows: Mapping[RowId, Amounts]) -> Mapping[RowId, Amounts]:
        """Return those rows that are not of closed days."""
        closed = self._closed.get(partition)
        if not closed:
            return rows
        return {row: amounts for row, amounts in rows.items() if day_start_ms(row.start_ms) not in closed}


def _closed_key(partition: int, start_ms: int) -> bytes:
    return _CLOSED + f"{partition}:{start_ms}".encode()
