"""What quotas count of a month, by service and key, in each partition: derived from the ledger's rows.

Shown in Redis like the rows, and fenced with them: hash `{partition}:q:{service}:{month}`, field the key id
or nothing for the whole service, value `tokens pages audio_ms money_micros`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from schemas.prices import Price, PriceList
from schemas.quota_costs import micros
from schemas.quotas import month_of
from schemas.usage_report import ledger_day
from schemas.usage_rows import COLUMNS, Amounts, RowId

_AT = {name: place for place, name in enumerate(COLUMNS)}
_PROMPT, _COMPLETION, _PAGES, _AUDIO = (
    _AT[name] for name in ("prompt_tokens", "completion_tokens", "pages", "audio_ms")
)
LEVEL = "q"
_NOTHING = Decimal(0)
_PRICES_KEPT = 10_000


class SumId(NamedTuple):
    """What a sum is about; `key` is empty for a whole service."""

    partition: int
    service: str
    month: str
    key: str


class SumAmounts(NamedTuple):
    """What was spent in a month; money in millionths."""

    tokens: int
    pages: int
    audio_ms: int
    money: int


class _Sum:
    __slots__ = ("audio_ms", "money", "pages", "tokens")

    def __init__(self) -> None:
        self.tokens = self.pages = self.audio_ms = 0
        self.money = Decimal(0)

    def add(self, amounts: Amounts, cost: Decimal) -> None:
        self.tokens += amounts[_PROMPT] + amounts[_COMPLETION]
        self.pages += amounts[_PAGES]
        self.audio_ms += amounts[_AUDIO]
        if cost is not _NOTHING:
            self.money += cost

    def text(self) -> bytes:
        return b"%d %d %d %d" % (self.tokens, self.pages, self.audio_ms, micros(self.money))


class Spent:
    """Sums of each month; `prices` are those that hold for all of them."""

    def __init__(self, prices: PriceList | None = None) -> None:
        self._prices = prices or PriceList()
        self._found: dict[tuple[str, str, date], Price | None] = {}
        self._sums: defaultdict[int, dict[bytes, _Sum]] = defaultdict(dict)

    def add(self, partition: int, row: RowId, amounts: Amounts) -> tuple[bytes, bytes]:
        """Add what a row has more than before (less, where it is negative); return the keys that changed."""
        cost = self.cost(row, amounts)
        keys = _keys(partition, row.service, row.key, _month(row.start_ms))
        sums = self._sums[partition]
        for key in keys:
            held = sums.get(key)
            if held is None:
                held = sums[key] = _Sum()
            held.add(amounts, cost)
        return keys

    def cost(self, row: RowId, amounts: Amounts) -> Decimal:
        """Return what amounts of a row cost; 0 where there is no price."""
        price = self._price(row) if self._prices.entries else None
        return price.cost(amounts) if price is not None else _NOTHING

    def reprice(self, prices: PriceList, rows: Iterable[tuple[int, RowId, Amounts]]) -> None:
        """Begin anew with other prices, from the rows of hours with their partitions."""
        self._prices = prices
        self._found.clear()
        self._sums.clear()
        for partition, row, amounts in rows:
            self.add(partition, row, amounts)

    def clear(self) -> None:
        """Forget everything."""
        self._sums.clear()

    def get(self, key: bytes) -> bytes | None:
        """Return a sum as it stands in Redis."""
        held = self._sums[int(key.partition(b":")[0])].get(key)
        return None if held is None else held.text()

    def keys(self, partition: int) -> tuple[bytes, ...]:
        """Return the keys of a partition."""
        return tuple(self._sums[partition])

    def everything(self) -> Iterator[tuple[SumId, SumAmounts]]:
        """Yield all sums."""
        for sums in self._sums.values():
            for key, held in sums.items():
                name, _, field = key.decode().partition("|")
                yield read_sum(name, field, held.text())

    def _price(self, row: RowId) -> Price | None:
        # Looked for once a model and day: names that stand for many take a search.
        day = ledger_day(row.start_ms)
        name = row.model, row.upstream, day
        if name not in self._found:
            if len(self._found) >= _PRICES_KEPT:
                self._found.clear()
            self._found[name] = self._prices.price_of(row, day)
        return self._found[name]


def read_sum(name: str, field: str, text: bytes) -> tuple[SumId, SumAmounts]:
    """Return the sum that stands in a hash of this name under this field. Raises ValueError when it is none."""
    partition, _, service, month = name.split(":")
    tokens, pages, audio_ms, money = map(int, text.split())
    return SumId(int(partition), service, month, field), SumAmounts(tokens, pages, audio_ms, money)


@lru_cache(maxsize=4_096)
def _month(hour_ms: int) -> str:
    return month_of(hour_ms)


@lru_cache(maxsize=65_536)
def _keys(partition: int, service: str, key: str, month: str) -> tuple[bytes, bytes]:
    """Return the keys of the sums of a whole service and of one key of it."""
    name = f"{partition}:{LEVEL}:{service}:{month}|"
    return name.encode(), f"{name}{key}".encode()
