"""Days of the usage report that can change no more, as they are kept once their records are gone."""

from dataclasses import dataclass

from schemas.usage_rows import WIDTH, Amounts, RowId


@dataclass(frozen=True, slots=True)
class ClosedRow:
    """A row's id and its amounts, in the order of schemas.usage_rows."""

    start_ms: int
    service: str
    key: str
    module: str
    model: str
    upstream: str
    lane: str
    outcome: str
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """The rows of one partition's hours of one day, kept when the records that they come from are removed."""

    partition: int
    start_ms: int
    rows: tuple[ClosedRow, ...]


def closed_row(row: RowId, amounts: Amounts) -> ClosedRow:
    """Return a row as it is kept."""
    return ClosedRow(*row, amounts=amounts)


def open_row(kept: ClosedRow) -> tuple[RowId, Amounts]:
    """Return a kept row; columns that did not exist when it was written are 0."""
    row = RowId(kept.start_ms, kept.service, kept.key, kept.module, kept.model, kept.upstream, kept.lane, kept.outcome)
    return row, (*kept.amounts, *(0,) * (WIDTH - len(kept.amounts)))[:WIDTH]
