"""Paragraphs and tables set on a grid of columns, as a typewriter would: the page model of documents without a page.

Wide letters take two columns, as the indents of official letters count them. Pure.
"""

import re
from collections.abc import Iterable, Sequence

from processors.ocr.hwpx_content import Block, Cell, Paragraph, Table
from processors.ocr.text_pages import columns_of

WIDTH = 84
"""Columns of a line: 12 point type on A4."""

LINES = 60
"""Lines of a page, unless the document itself begins a new one sooner."""

_GAP = 3
_WIDEST_TABLE = 150
_NARROWEST = 8
# A label or a number and the space behind it: what wraps goes on below the text, not below the mark.
_HANG = re.compile(
    r"\s*(?:(?:수\s*신|제\s*목|경\s*유|참\s*조|발\s*신|수\s*신\s*자|붙\s*임)\s*:?\s{2,}(?:\d{1,2}\.\s+)?|"
    r"(?:\d{1,2}[.)]|[가-하거-허][.)]|\(\d{1,2}\)|\([가-하]\)|[①-⑳㉮-㉻□○◦•·*※-])\s+|\s*)"
)


def set_pages(sections: Iterable[Sequence[Block]]) -> list[list[str]]:
    """Return the pages' lines; each section begins a page, and so does what says it does."""
    pages: list[list[str]] = []
    for blocks in sections:
        page: list[str] = []
        for block in blocks:
            lines = _set_paragraph(block) if isinstance(block, Paragraph) else _set_table(block)
            starts = isinstance(block, Paragraph) and block.new_page
            if page and (starts or len(page) + len(lines) > LINES):
                pages.append(page)
                page = []
            while len(page) + len(lines) > LINES:
                pages.append(lines[:LINES])
                lines = lines[LINES:]
            page += lines
        if page:
            pages.append(page)
    return [page for page in pages if any(line.strip() for line in page)]


def _set_paragraph(paragraph: Paragraph) -> list[str]:
    lines: list[str] = []
    for text in paragraph.text.split("\n"):
        if not text.strip():
            continue
        text = text.rstrip()
        if paragraph.centred:
            wrapped = wrap(text.strip(), WIDTH)
            lines += [" " * ((WIDTH - columns_of(line)) // 2) + line for line in wrapped]
            continue
        found = _HANG.match(text)
        hang = columns_of(found[0]) if found else 0
        lines += wrap(text, WIDTH, hang if hang < WIDTH // 2 else 0)
    return lines


def wrap(text: str, width: int, hang: int = 0) -> list[str]:
    """Break a line between words; what follows is indented by `hang` columns. Only a word alone may be wider."""
    if columns_of(text) <= width:
        return [text]
    lines: list[str] = []
    line = ""
    for piece in re.findall(r"\s*\S+", text):
        if line.strip() and columns_of(line) + columns_of(piece) > width:
            lines.append(line)
            line = " " * hang + piece.lstrip()
        else:
            line += piece
    return [*lines, line]


def _set_table(table: Table) -> list[str]:
    rows = table.rows
    count = max((cell.column + cell.span for row in rows for cell in row), default=0)
    if len({cell.column for cell in table.cells}) < 2 or count > WIDTH:
        return [part for row in rows for cell in row for line in cell.lines for part in wrap(line, WIDTH)]
    # A table of one row is for the layout: its cells' lines stand beside each other as they are.
    beside = len(rows) == 1
    contents = [[(cell, cell.lines if beside else _one_line(cell)) for cell in row] for row in rows]
    widths = _widths(contents, count)
    starts = [sum(widths[:column]) + _GAP * column for column in range(count)]
    lines: list[str] = []
    for row in contents:
        parts = [(starts[cell.column], _wrapped(texts, _room(cell, widths))) for cell, texts in row]
        for number in range(max((len(wrapped) for _, wrapped in parts), default=0)):
            line = ""
            for start, wrapped in parts:
                if number < len(wrapped) and wrapped[number]:
                    line += " " * (start - columns_of(line)) + wrapped[number]
            if line.strip():
                lines.append(line)
    return lines


def _one_line(cell: Cell) -> tuple[str, ...]:
    return (" ".join(cell.lines),) if cell.lines else ()


def _wrapped(texts: Iterable[str], width: int) -> list[str]:
    return [part for text in texts for part in wrap(text, width)]


def _room(cell: Cell, widths: Sequence[int]) -> int:
    span = widths[cell.column : cell.column + cell.span]
    return sum(span) + _GAP * (len(span) - 1)


def _widths(contents: Sequence[Sequence[tuple[Cell, Sequence[str]]]], count: int) -> list[int]:
    """Return each column's width: what its cells want, less where that is more than a line can be."""
    wanted = [1] * count
    longest = [1] * count  # words are not cut: they need that much
    for cell, texts in (entry for row in contents for entry in row):
        if cell.span > 1:
            continue
        wanted[cell.column] = max([wanted[cell.column], *map(columns_of, texts)])
        words = [columns_of(word) for text in texts for word in text.split()]
        longest[cell.column] = max([longest[cell.column], *words])
    for cell, texts in (entry for row in contents for entry in row):
        # What spans columns and does not fit widens the last of them.
        words = [columns_of(word) for text in texts for word in text.split()]
        missing = max(words, default=0) - _room(cell, wanted)
        if cell.span > 1 and missing > 0:
            wanted[min(cell.column + cell.span, count) - 1] += missing
    over = sum(wanted) + _GAP * (count - 1) - _WIDEST_TABLE
    while over > 0:
        widest = max(range(count), key=lambda column: wanted[column] - longest[column])
        spare = wanted[widest] - max(longest[widest], _NARROWEST)
        if spare <= 0:
            break
        cut = min(over, max(1, spare // 2))
        wanted[widest] -= cut
        over -= cut
    return wanted
