"""What a request may cost at most, before it is known which upstream serves it. Pure."""

from collections.abc import Collection, Iterator
from datetime import date
from decimal import ROUND_CEILING, Decimal

from schemas.prices import Price, PriceList, stands_for
from schemas.services import MICROS
from schemas.usage_rows import COLUMNS, WIDTH, Amounts

_AT = {name: place for place, name in enumerate(COLUMNS)}


def micros(cost: Decimal) -> int:
    """Return an amount of money in millionths, rounded up."""
    return int((cost * MICROS).to_integral_value(ROUND_CEILING))


def worst_cost(
    prices: PriceList,
    day: date,
    *,
    models: Collection[str] = (),
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    pages: int = 0,
    audio_seconds: int = 0,
) -> int:
    """Return the highest price that may hold for it, in millionths: of these models, or of every model and engine.

    What only its duration will tell (a price a second of work) is not in it.
    """
    amounts = [0] * WIDTH
    amounts[_AT["prompt_tokens"]], amounts[_AT["completion_tokens"]] = prompt_tokens, completion_tokens
    amounts[_AT["pages"]], amounts[_AT["audio_ms"]] = pages, audio_seconds * 1000
    used: Amounts = tuple(amounts)
    costs = (price.cost(used) for price in _prices_on(prices, day, models))
    return micros(max(costs, default=Decimal(0)))


def _prices_on(prices: PriceList, day: date, models: Collection[str]) -> Iterator[Price]:
    for (name, _), dated in (prices.entries or {}).items():
        if not models or any(stands_for(name, model) for model in models):
            found = next((price for price in reversed(dated) if price.since <= day), None)
            if found is not None:
                yield found
