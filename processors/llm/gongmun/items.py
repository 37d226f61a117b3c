"""The body as a tree of items, tables hung on the item before them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.markers import Marker, continues, read_marker
from processors.llm.gongmun.placed import EMPTY, Placed, Read, as_written, joined
from processors.llm.gongmun.tables import Table, read_table, table_end

_END = re.compile(r"(?:^|(?<=[\s.,다음임함부)\]]))끝\s?[.,。]?\s*$|(?<=[.,])\s*[글꿀끌끌]\s?[.,。]?\s*$")
_END_MISREAD = re.compile(r"(?<=\d[부매식권장][.:,])\s+\S{1,2}\s*$")
_BLANK_BELOW = re.compile(r"\s*[<(\[]?\s*이\s*하\s*빈\s*칸\s*[>)\]]?\s*$")
_DATES_END = re.compile(r"(?:(?<![\w'.])(?:20\d\d|'\d\d|\d{1,2})\s?[.]\s*)(?:\d{1,2}\s?[.]\s*){0,2}$")
_CENTRED = re.compile(r"^[-=~<\[(\s]*(?:다\s*음|아\s*래)[-=~>\])\s]*$")


@dataclass(slots=True)
class Item:
    """One item while the tree is built; `rank` is that of its marker, -1 for a plain paragraph."""

    marker: Marker | None
    text: Placed
    level: int = 1
    rank: int = -1
    at: Placed = EMPTY
    tables: list[Table] = field(default_factory=list[Table])
    children: list["Item"] = field(default_factory=list["Item"])


def ends_body(plain: str) -> bool:
    """Tell whether a line closes the letter with `끝.`."""
    return bool(_END.search(plain))


def without_end(text: Placed) -> Placed:
    """Drop `끝.` and `이하 빈칸` from the end of a text."""
    for pattern in (_END, _BLANK_BELOW, _END_MISREAD):
        match = pattern.search(text.plain)
        if match:
            text = text.cut(0, match.start())
    return text


def read_items(lines: Sequence[Line]) -> list[Item]:
    """Build the item tree of the body's lines (붙임 not among them)."""
    roots: list[Item] = []
    stack: list[Item] = []
    last: dict[str, int] = {}
    previous: Line | None = None
    right = max((line.x1 for line in lines), default=1.0)
    i = 0
    while i < len(lines):
        end = table_end(lines, i)
        if end > i:
            table = read_table(_without_blank_rows(lines[i:end]))
            owner = stack[-1] if stack else None
            if owner is None:
                owner = Item(None, EMPTY)
                roots.append(owner)
                stack = [owner]
            owner.tables.append(table)
            previous, i = None, end
            continue
        line = lines[i]
        i += 1
        text = without_end(line.text)
        if not text:
            continue
        marker = read_marker(text.plain)
        if marker and continues(marker, last) and not (previous and _splits_date(previous.plain, marker)):
            item = Item(marker, text.cut(marker.length), rank=marker.rank, at=text.cut(0, marker.length))
            _forget_deeper(last, marker)
            last[marker.kind] = marker.order
            _hang(item, roots, stack)
        elif _CENTRED.match(text.plain) or not stack or _new_paragraph(stack[-1], previous, line, right):
            item = Item(None, text)
            roots.append(item)
            stack = [item]
        else:
            stack[-1].text = joined([stack[-1].text, text])
        previous = line
    return roots


def walk(items: Sequence[Item]) -> Iterator[Item]:
    """Yield all items, parents before their children."""
    for item in items:
        yield item
        yield from walk(item.children)


def items_tree(items: Sequence[Item]) -> list[dict[str, object]]:
    """Return the items as the result's fields."""
    return [_item_tree(item) for item in items]


def body_text(items: Sequence[Item]) -> str:
    """Return the body as lines of plain text, tables row by row."""
    rows: list[str] = []
    for item in walk(items):
        marker = f"{item.marker.written} " if item.marker else ""
        if item.text or marker:
            rows.append(f"{marker}{item.text.single_spaced().text}")
        for table in item.tables:
            rows += [" ".join(cell.single_spaced().text for cell in row) for row in (table.header, *table.rows)]
    return "\n".join(rows)


def _item_tree(item: Item) -> dict[str, object]:
    tree: dict[str, object] = {"level": item.level}
    if item.marker:
        tree = {"marker": item.marker.written, **tree}
    if item.text:
        tree["text"] = as_written(item.text)
    if item.tables:
        tree["tables"] = [
            {"header": _cells(table.header), "rows": [_cells(row) for row in table.rows]} for table in item.tables
        ]
    if item.children:
        tree["children"] = items_tree(item.children)
    return tree


def _cells(row: Sequence[Placed]) -> list[Read | str]:
    return [as_written(cell) if cell else "" for cell in row]


def _hang(item: Item, roots: list[Item], stack: list[Item]) -> None:
    while stack and (stack[-1].rank >= item.rank or stack[-1].rank < 0):
        stack.pop()
    if stack:
        item.level = min(8, stack[-1].level + 1)
        stack[-1].children.append(item)
    else:
        roots.append(item)
    stack.append(item)


def _forget_deeper(last: dict[str, int], marker: Marker) -> None:
    for kind in [kind for kind in last if _rank_of(kind) > marker.rank]:
        del last[kind]


def _rank_of(kind: str) -> int:
    return ("1.", "가.", "1)", "가)", "(1)", "(가)", "①", "㉮", "□", "○", "-").index(kind)


def _new_paragraph(current: Item, previous: Line | None, line: Line, right: float) -> bool:
    """A plain line begins a paragraph when the one before ended early with a sentence, or a gap lies between."""
    if previous is None:
        return True
    if current.rank >= 0:
        return False
    if previous.page != line.page:
        return previous.x1 < right - 6 * line.em_x
    gap = line.y - previous.y
    ended = bool(re.search(r"[.?!:]\s*$", previous.plain))
    return gap > 2.6 * line.em or (
        ended and (previous.x1 < right - 5 * line.em_x or line.x0 > previous.x0 + 0.9 * line.em_x)
    )


def _splits_date(before: str, marker: Marker) -> bool:
    """A date may be broken at the line's end: `2025. 3.` / `14.까지`; one that has its day is whole."""
    match = _DATES_END.search(before)
    if marker.kind != "1." or match is None:
        return False
    parts = re.findall(r"'?\d+", match.group())
    has_year = len(parts[0]) > 2
    return len(parts) < (3 if has_year else 2) and (has_year or match.start() > 0)


def _without_blank_rows(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if not _BLANK_BELOW.fullmatch(line.plain)] or list(lines)
