"""Tables of the body: runs of lines with several cells, put into columns by their place."""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.llm.gongmun.lines import Cell, Line
from processors.llm.gongmun.markers import read_marker
from processors.llm.gongmun.placed import EMPTY, Placed, joined


@dataclass(frozen=True, slots=True)
class Table:
    """A table: header and rows of cells, `EMPTY` where nothing is printed."""

    header: tuple[Placed, ...]
    rows: tuple[tuple[Placed, ...], ...]


def table_end(lines: Sequence[Line], start: int) -> int:
    """Return the index behind the table that begins at `start`; `start` itself when there is none.

    A table needs two rows of two cells or more, and three cells in one of them or columns that line up.
    """
    if len(lines[start].cells) < 2 or _is_item(lines[start]):
        return start
    end = start + 1
    while end < len(lines):
        line = lines[end]
        if (len(line.cells) >= 2 and not _is_item(line)) or (
            _is_wrapped_cell(lines[start], line)
            and end + 1 < len(lines)
            and len(lines[end + 1].cells) >= 2
            and not _is_item(lines[end + 1])
        ):
            end += 1
        else:
            break
    rows = [line for line in lines[start:end] if len(line.cells) >= 2]
    if len(rows) < 2:
        return start
    if max(len(line.cells) for line in rows) >= 3 or _aligned(rows[0], rows[1]):
        return end
    return start


def read_table(lines: Sequence[Line]) -> Table:
    """Put the cells of a table's lines into columns; a repeated header (next page) is dropped."""
    model = max(lines, key=lambda line: len(line.cells))
    columns = _columns(lines, len(model.cells), model)
    rows: list[tuple[Placed, ...]] = []
    for line in lines:
        row: list[Placed] = [EMPTY] * len(columns)
        for cell in line.cells:
            i = _column(cell, columns)
            row[i] = joined([row[i], cell.text])
        if len(line.cells) == 1 and rows:
            rows[-1] = tuple(joined([above, below]) for above, below in zip(rows[-1], row, strict=True))
            continue
        rows.append(tuple(row))
    header = rows[0]
    texts = tuple(cell.text for cell in header)
    return Table(header, tuple(row for row in rows[1:] if tuple(cell.text for cell in row) != texts))


def _is_item(line: Line) -> bool:
    marker = read_marker(line.plain)
    return marker is not None and marker.rank < 6


def _is_wrapped_cell(first: Line, line: Line) -> bool:
    return len(line.cells) == 1 and line.x0 > first.x0 + 2 * line.em_x and not _is_item(line)


def _aligned(a: Line, b: Line) -> bool:
    if len(a.cells) != len(b.cells):
        return False
    return all(min(p.x1, q.x1) > max(p.x0, q.x0) for p, q in zip(a.cells, b.cells, strict=True))


def _columns(lines: Sequence[Line], count: int, model: Line) -> list[tuple[float, float]]:
    """Widen the fullest row's cells by those of the other rows that have as many."""
    columns = [(cell.x0, cell.x1) for cell in model.cells]
    for line in lines:
        if len(line.cells) == count:
            columns = [(min(a, c.x0), max(b, c.x1)) for (a, b), c in zip(columns, line.cells, strict=True)]
    return columns


def _column(cell: Cell, columns: Sequence[tuple[float, float]]) -> int:
    def fit(i: int) -> tuple[float, float]:
        a, b = columns[i]
        overlap = min(b, cell.x1) - max(a, cell.x0)
        return (overlap, -abs((a + b) / 2 - cell.centre))

    return max(range(len(columns)), key=fit)
