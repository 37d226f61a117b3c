"""The receipt stamp (접수인): found by its row labels, taken out of the page, and read."""

import re
from collections.abc import Sequence
from dataclasses import replace

from processors.llm.gongmun.dates import find_dates, find_times
from processors.llm.gongmun.lines import Cell, Line, page_lines
from processors.llm.gongmun.numbers import find_unit_number, unit_number
from processors.llm.gongmun.placed import Placed, Read
from schemas.pages import Box, Page

_ROW = re.compile(
    r"^\W{0,3}(?P<label>[접점정집]\s*[수슈]\s*[번빈]\s*호|[접점정집]\s*[수슈]\s*일\s*[시자]?|[접점정집]\s*[수슈](?:\s*인)?$|[처저]\s*[리라]\s*과|[접점정집]\s*[수슈](?=\s+\S))"
)
_STRONG = re.compile(r"[번빈]\s*호|일\s*[시자]|과")
_MIN_ROWS = 2


def split_stamp(page: Page) -> tuple[Page, list[Line]]:
    """Return the page without its receipt stamp, and the stamp's lines (none when there is no stamp)."""
    region = _region(page)
    if region is None:
        return page, []
    inside = tuple(word for word in page.words if _inside(word.box, region))
    outside = tuple(word for word in page.words if not _inside(word.box, region))
    return replace(page, words=outside), page_lines(replace(page, words=inside), 90_000 + page.number * 100)


def read_receipt(lines: Sequence[Line]) -> dict[str, Read]:
    """Read number, date and time from a stamp's lines."""
    tree: dict[str, Read] = {}
    for line in lines:
        plain = line.plain
        label = _ROW.match(plain)
        value = line.text.cut(label.end()) if label else line.text
        dates = find_dates(value.plain)
        if dates and "date" not in tree:
            iso = dates[0].iso()
            if iso:
                tree["date"] = Read(iso, value.cut(dates[0].start, dates[0].end), dates[0].certainty)
                rest = value.cut(dates[0].end)
                time = next(find_times(rest.plain), None)
                if time:
                    tree["time"] = Read(time.value, rest.cut(time.start, time.end))
            continue
        if "number" not in tree:
            number = receipt_number(value)
            if number:
                tree["number"] = number
    return tree


def receipt_number(value: Placed) -> Read | None:
    """Read a receipt number, 처리과명-일련번호 or a bare serial number."""
    exact = unit_number(value.strip(":;.,|").text)
    if exact:
        return Read(exact[0], value.strip(":;.,|"), exact[1])
    match = find_unit_number(value.plain)
    if match:
        placed = value.cut(match.start(), match.end())
        again = unit_number(placed.text)
        return Read(again[0], placed, again[1]) if again else None
    match = re.fullmatch(r"\W*(?P<n>(?:제\s?)?\d{1,6}(?:-\d{1,6})?(?:\s?호)?)\W*", value.plain)
    return (
        Read(value.cut(match.start("n"), match.end("n")).text, value.cut(match.start("n"), match.end("n")))
        if match
        else None
    )


def _region(page: Page) -> Box | None:
    """Return the box of the stamp, grown around its labels."""
    rows = [
        (line, cell)
        for line in page_lines(page)
        for cell in line.cells
        if _ROW.match(cell.text.plain) and _is_row(line, cell)
    ]
    if not rows:
        return None
    boxes = [glyph.box for _, cell in rows for glyph in cell.text.glyphs if glyph]
    if len(rows) < _MIN_ROWS and not any(_STRONG.search(cell.text.plain) for _, cell in rows):
        return None
    left = min(box[0] for box in boxes)
    top, bottom = min(box[1] for box in boxes), max(box[3] for box in boxes)
    em = max(line.em for line, _ in rows)
    missing = 3 - len({line.number for line, _ in rows})
    margin = em * (0.9 if missing <= 0 else 3.2)
    return (left - 0.012, top - margin, 1.0, bottom + margin)


def _is_row(line: Line, cell: Cell) -> bool:
    """A row label is in the right half and in the upper third; the 결문 has its 접수 at the bottom."""
    return cell.x0 > 0.45 and line.y < 0.4


def _inside(box: Box, region: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return region[0] <= x <= region[2] and region[1] <= y <= region[3]
