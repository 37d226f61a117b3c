"""Prometheus counters of each service, counted up by what the ledger takes."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal

from schemas.usage_rows import COLUMNS, ZERO, Amounts, RowId
from streams.metrics import (
    USAGE_AUDIO_SECONDS,
    USAGE_COST,
    USAGE_PAGES,
    USAGE_REQUESTS,
    USAGE_TOKENS,
    USAGE_WORK_SECONDS,
)

_AT = {name: place for place, name in enumerate(COLUMNS)}
_COUNTED = tuple(
    (name, _AT[name])
    for name in ("requests", "prompt_tokens", "completion_tokens", "pages", "audio_ms", "work_ms", "waste_work_ms")
)

Labels = tuple[str, str, str, str]


class UsageCounters:
    """Counts what is new of entries; Prometheus is told once a batch, for it costs more than the adding up.

    `cost_of` tells what amounts of a row cost.
    """

    def __init__(self, cost_of: Callable[[RowId, Amounts], Decimal]) -> None:
        self._cost_of = cost_of
        self._new: Counter[tuple[str, Labels]] = Counter()
        self._cost: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)

    def count(self, before: Mapping[RowId, Amounts], after: Mapping[RowId, Amounts]) -> None:
        """Count what `after` has more than `before`.

        A request is counted with the first end that it has: counters cannot go back, and a better end takes its place.
        """
        ended = any(amounts[_AT["requests"]] for amounts in before.values())
        for row, amounts in after.items():
            held = before.get(row, ZERO)
            for column, at in _COUNTED:
                more = amounts[at] - held[at]
                if more > 0 and not (ended and column == "requests"):
                    self._new[column, (row.service, row.module, row.model, row.outcome)] += more
            self._spend(row, self._cost_of(row, amounts) - self._cost_of(row, held))
        for row in before.keys() - after.keys():  # what another attempt is charged for now
            self._spend(row, -self._cost_of(row, before[row]))

    def _spend(self, row: RowId, cost: Decimal) -> None:
        if cost:
            self._cost[row.service, row.module, row.model] += cost

    def tell(self) -> None:
        """Tell Prometheus."""
        for (column, labels), more in self._new.items():
            _tell(column, labels, more)
        self._new.clear()
        for labels, cost in self._cost.items():
            # A counter cannot go back: an attempt that costs less than the one whose place it takes adds nothing.
            USAGE_COST.labels(*labels).inc(max(0.0, float(cost)))
        self._cost.clear()


def _tell(column: str, labels: Labels, more: int) -> None:
    service, module, model, outcome = labels
    match column:
        case "requests":
            USAGE_REQUESTS.labels(service, module, outcome).inc(more)
        case "prompt_tokens" | "completion_tokens":
            USAGE_TOKENS.labels(service, module, model, column.removesuffix("_tokens")).inc(more)
        case "pages":
            USAGE_PAGES.labels(service, module).inc(more)
        case "audio_ms":
            USAGE_AUDIO_SECONDS.labels(service, module).inc(more / 1000)
        case _:
            charged = "no" if column.startswith("waste") else "yes"
            USAGE_WORK_SECONDS.labels(service, module, charged).inc(more / 1000)
