"""Prometheus counters of each service, counted up by what the ledger takes."""

from collections.abc import Mapping

from schemas.usage_rows import COLUMNS, ZERO, Amounts, RowId
from streams.metrics import (
    USAGE_AUDIO_SECONDS,
    USAGE_PAGES,
    USAGE_REQUESTS,
    USAGE_TOKENS,
    USAGE_WORK_SECONDS,
)

_AT = {name: place for place, name in enumerate(COLUMNS)}


class UsageCounters:
    """Counts what is new of an entry."""

    def count(self, before: Mapping[RowId, Amounts], after: Mapping[RowId, Amounts]) -> None:
        """Count what `after` has more than `before`."""
        for row, amounts in after.items():
            held = before.get(row, ZERO)
            for column, value in zip(COLUMNS, amounts, strict=True):
                more = value - held[_AT[column]]
                if more > 0:
                    _count(row, column, more)


def _count(row: RowId, column: str, more: int) -> None:
    match column:
        case "requests":
            USAGE_REQUESTS.labels(row.service, row.module, row.outcome).inc(more)
        case "prompt_tokens" | "completion_tokens":
            kind = column.removesuffix("_tokens")
            USAGE_TOKENS.labels(row.service, row.module, row.model, kind).inc(more)
        case "pages":
            USAGE_PAGES.labels(row.service, row.module).inc(more)
        case "audio_ms":
            USAGE_AUDIO_SECONDS.labels(row.service, row.module).inc(more / 1000)
        case "work_ms" | "waste_work_ms":
            charged = "no" if column.startswith("waste") else "yes"
            USAGE_WORK_SECONDS.labels(row.service, row.module, charged).inc(more / 1000)
        case _:
            return
