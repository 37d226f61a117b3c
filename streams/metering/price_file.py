"""The prices in `models.yml`, for budgets in money; what ingress takes from the same file makes the reports.

Ingress checks the file with all its rules; here what is no price is passed over, and logged once.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import yaml

from schemas.prices import Price, PriceList
from streams.logs import get_logger

log = get_logger(__name__)

_UNITS = ("prompt", "completion", "second", "page", "audio_minute")


class BudgetPrices:
    """Reads the file again when it changes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._version: tuple[int, int] | None = None
        self._prices = PriceList()

    def now(self) -> PriceList:
        """Return the prices as they are now; a file that has become wrong leaves the last good ones in place."""
        found = self.changed()
        if found is not None:
            self._prices = found
        return self._prices

    def changed(self) -> PriceList | None:
        """Return the prices when they are other ones than at the last call; None when they are not."""
        try:
            found = self._file.stat()
            version = (found.st_mtime_ns, found.st_size)
        except OSError:
            version = (0, 0)
        if version == self._version:
            return None
        self._version = version
        if version == (0, 0):
            return PriceList()
        try:
            return prices_in(yaml.safe_load(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, InvalidOperation, yaml.YAMLError) as e:
            log.error("prices.unusable", reason=type(e).__name__)
            return None


def prices_in(document: Any) -> PriceList:
    """Return the prices of a models file's content. Raises ValueError, TypeError, KeyError or AttributeError."""
    entries: dict[tuple[str, str], tuple[Price, ...]] = {}
    for engine, dated in (document.get("prices") or {}).items():
        entries[str(engine), ""] = _dated(dated)
    public: dict[tuple[str, str], tuple[Price, ...]] = {}
    for name, model in (document.get("models") or {}).items():
        for route in model["upstreams"]:
            if isinstance(route, dict) and (prices := cast("Mapping[str, Any]", route).get("prices")):
                entries[str(route.get("model", name)), str(route["upstream"])] = _dated(prices)
                public[str(name), str(route["upstream"])] = _dated(prices)
    return PriceList(str(document.get("currency", "")), entries | public)


def _dated(entries: list[Mapping[str, Any]]) -> tuple[Price, ...]:
    prices = (
        Price(_day(entry["since"]), **{unit: Decimal(str(entry[unit])) for unit in _UNITS if unit in entry})
        for entry in entries
    )
    return tuple(sorted(prices, key=attrgetter("since")))


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
