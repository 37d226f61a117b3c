"""Prices as dated entries: what was used costs what held on the day on which it was used."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from schemas.usage_rows import COLUMNS, Amounts, RowId

_AT = {name: place for place, name in enumerate(COLUMNS)}
_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)
_MINUTE_MS = Decimal(60_000)
_NOTHING = Decimal(0)
_PRICED = ("prompt_tokens", "completion_tokens", "work_ms", "pages", "audio_ms")
_CHARGED = tuple(_AT[name] for name in _PRICED)
_WASTED = tuple(_AT[f"waste_{name}"] for name in _PRICED)

PREFIX = "*"
"""What ends a name that stands for all models which begin so, such as `tesseract*`."""


def stands_for(name: str, model: str) -> bool:
    """Tell whether a price of this name may hold for a model."""
    return name == model or (name.endswith(PREFIX) and model.startswith(name.removesuffix(PREFIX)))


@dataclass(frozen=True, slots=True)
class Price:
    """What holds from a day on: for a million tokens, a second of work (of a GPU, say), a page, a minute of audio."""

    since: date
    prompt: Decimal = Decimal(0)
    completion: Decimal = Decimal(0)
    second: Decimal = Decimal(0)
    page: Decimal = Decimal(0)
    audio_minute: Decimal = Decimal(0)

    def cost(self, amounts: Amounts, *, waste: bool = False) -> Decimal:
        """Return what a row's charged amounts cost; with `waste`, what the others would have cost."""
        prompt, completion, work_ms, pages, audio_ms = _WASTED if waste else _CHARGED
        cost = _NOTHING
        if amounts[prompt] or amounts[completion]:
            cost += (self.prompt * amounts[prompt] + self.completion * amounts[completion]) / _MILLION
        if amounts[work_ms] and self.second:
            cost += self.second * amounts[work_ms] / _THOUSAND
        if amounts[pages]:
            cost += self.page * amounts[pages]
        if amounts[audio_ms]:
            cost += self.audio_minute * amounts[audio_ms] / _MINUTE_MS
        return cost


@dataclass(frozen=True, slots=True)
class PriceList:
    """All prices, each list ordered by date, in one currency.

    The keys are (model, upstream): both as usage names them. An upstream of "" holds for work without
    one, such as OCR, whose model is the engine.
    """

    currency: str = ""
    entries: Mapping[tuple[str, str], tuple[Price, ...]] | None = None

    def price_of(self, row: RowId, day: date) -> Price | None:
        """Return the price that holds for a row on a day; None where none was set by then."""
        entries = self.entries or {}
        found = entries.get((row.model, row.upstream)) or entries.get((row.model, ""))
        if found is None:
            fitting = [n for n, upstream in entries if upstream in ("", row.upstream) and stands_for(n, row.model)]
            if fitting:
                longest = max(fitting, key=len)
                found = entries.get((longest, row.upstream)) or entries.get((longest, ""))
        return next((price for price in reversed(found or ()) if price.since <= day), None)
