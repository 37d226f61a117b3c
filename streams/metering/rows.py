"""The rows of the usage report in this process: by hour and by day, for each partition, and their form in Redis.

A row's key is `{name of its hash}|{field}`. The hash holds the hours of one day, or the days of one month,
of one service in one partition; the field is hour or day, key, module, model, upstream, lane and outcome.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from schemas.usage_rows import LEDGER_OFFSET_MS, ZERO, Amounts, RowId, added, day_start_ms, subtracted
from streams.metering.spent import LEVEL, Spent

SEPARATOR = "\x1f"
_SEPARATOR = SEPARATOR.encode()
BY_HOUR = "h"
BY_DAY = "d"
SETTLED = b"settled"
_OPEN = b"open:"
_LEDGER_OFFSET = timedelta(milliseconds=LEDGER_OFFSET_MS)


class UsageRows:
    """Subtotals by partition; kept in step with the ledger, and what views are made of."""

    def __init__(self) -> None:
        self.spent = Spent()
        self._amounts: defaultdict[int, dict[bytes, Amounts]] = defaultdict(dict)
        self._days: defaultdict[int, set[int]] = defaultdict(set)
        self._logged_ms: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._amounts.values()))

    def move(self, partition: int, difference: Mapping[RowId, Amounts]) -> set[bytes]:
        """Add to rows what entries add now and did not before; return the keys of the rows that changed."""
        rows, days = self._amounts[partition], self._days[partition]
        changed: set[bytes] = set()
        for row, amounts in difference.items():
            if amounts == ZERO:
                continue
            changed.update(self.spent.add(partition, row, amounts))
            days.add(day_start_ms(row.start_ms))
            for key in row_keys(partition, row):
                held = rows.get(key)
                rows[key] = amounts if held is None else added(held, amounts)
                changed.add(key)
        return changed

    def logged(self, partition: int, at_ms: int) -> bytes:
        """Take note of the log's time; return the key under which it is shown."""
        if at_ms > self._logged_ms.get(partition, 0):
            self._logged_ms[partition] = at_ms
        return b"%d:t|" % partition

    def logged_ms(self, partition: int) -> int:
        """Return the latest time of the log in a partition, 0 while none is known."""
        return self._logged_ms.get(partition, 0)

    def clear(self, partitions: Iterable[int]) -> None:
        """Begin anew with these partitions, and no others."""
        self._amounts.clear()
        self._days.clear()
        self.spent.clear()
        self._logged_ms = {p: at for p, at in self._logged_ms.items() if p in set(partitions)}

    def hours_of_day(self, partition: int, start_ms: int) -> Iterator[tuple[RowId, Amounts]]:
        """Yield the rows of the hours of one day of the ledger's zone."""
        for key, amounts in self._amounts[partition].items():
            name, _, field = key.decode().partition("|")
            if name.split(":")[1] == BY_HOUR and amounts != ZERO:
                row = read_row(name, field)
                if day_start_ms(row.start_ms) == start_ms:
                    yield row, amounts

    def empty_day(self, partition: int, start_ms: int) -> frozenset[bytes]:
        """Take what a day added out of rows and sums; return the keys of its rows, which are empty from now on."""
        rows = dict(self.hours_of_day(partition, start_ms))
        changed = self.move(partition, {row: subtracted(ZERO, amounts) for row, amounts in rows.items()})
        self._days[partition].discard(start_ms)
        return frozenset(changed)

    def forget(self, partition: int, keys: Iterable[bytes]) -> None:
        """Forget those of these rows that are empty."""
        rows = self._amounts[partition]
        for key in keys:
            if rows.get(key) == ZERO:
                del rows[key]

    def hours(self) -> Iterator[tuple[int, RowId, Amounts]]:
        """Yield the rows of all hours, with their partitions."""
        for partition, rows in self._amounts.items():
            for key, amounts in rows.items():
                name, _, field = key.decode().partition("|")
                if name.split(":")[1] == BY_HOUR and amounts != ZERO:
                    yield partition, read_row(name, field), amounts

    def days(self, partition: int) -> AbstractSet[int]:
        """Return the days that have rows, by their begin."""
        return self._days[partition]

    def get(self, key: bytes, /) -> bytes:
        """Return a row as it stands in Redis; empty for one that is not there, or no more."""
        if key.startswith(_OPEN):
            return SETTLED
        if key.split(b":", 2)[1] == LEVEL.encode():
            return self.spent.get(key) or b""
        partition = int(key.partition(b":")[0])
        if key.endswith(b":t|"):
            return b"%d" % self.logged_ms(partition)
        amounts = self._amounts[partition].get(key)
        return b"" if amounts is None or amounts == ZERO else " ".join(map(str, amounts)).encode()

    peek = get

    def keys(self, partition: int, /) -> tuple[bytes, ...]:
        """Return the keys of a partition's rows."""
        return (*self._amounts[partition], *self.spent.keys(partition), b"%d:t|" % partition)


def settlement(service: str, request_id: str) -> bytes:
    """Return the key under which a request's reservation is closed, in one step with its rows."""
    return _OPEN + f"{service}|{request_id}".encode()


@lru_cache(maxsize=65_536)
def row_keys(partition: int, row: RowId) -> tuple[bytes, bytes]:
    """Return the keys of a row of an hour: its own, and that of its day."""
    start_ms, service, *names = row
    day, hour, month, day_of_month = _buckets(start_ms)
    rest = SEPARATOR.join(names)
    return (
        f"{partition}:{BY_HOUR}:{service}:{day}|{hour}{SEPARATOR}{rest}".encode(),
        f"{partition}:{BY_DAY}:{service}:{month}|{day_of_month}{SEPARATOR}{rest}".encode(),
    )


@lru_cache(maxsize=4_096)
def _buckets(start_ms: int) -> tuple[str, str, str, str]:
    at = datetime.fromtimestamp(start_ms / 1000, UTC) + _LEDGER_OFFSET
    return f"{at:%Y-%m-%d}", f"{at:%H}", f"{at:%Y-%m}", f"{at:%d}"


def read_row(name: str, field: str) -> RowId:
    """Return the row that stands in a hash of this name under this field.

    Raises ValueError when it is none of ours.
    """
    return next(read_rows(name, [field.encode()]))


def read_rows(name: str, fields: Iterable[bytes]) -> Iterator[RowId]:
    """Yield the rows that stand in a hash of this name under these fields, in their order.

    Raises ValueError when one is none of ours.
    """
    _, level, service, bucket = name.split(":")
    starts: dict[bytes, int] = {}
    # The same names come with every hour or day of the hash.
    named: dict[bytes, tuple[str, ...]] = {}
    for field in fields:
        within, _, rest = field.partition(_SEPARATOR)
        start = starts.get(within)
        if start is None:
            start = starts[within] = _start_ms(level, bucket, within.decode())
        names = named.get(rest)
        if names is None:
            names = named[rest] = tuple(rest.decode().split(SEPARATOR))
            if len(names) != 6:
                raise ValueError("a field of a usage row has seven parts")
        yield RowId(start, service, *names)


def _start_ms(level: str, bucket: str, within: str) -> int:
    return _bucket_ms(bucket) + int(within) * 3_600_000 if level == BY_HOUR else _bucket_ms(f"{bucket}-{within}")


@lru_cache(maxsize=4_096)
def _bucket_ms(day: str) -> int:
    return int((datetime.fromisoformat(day).replace(tzinfo=UTC) - _LEDGER_OFFSET).timestamp() * 1000)
