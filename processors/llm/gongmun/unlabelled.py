"""A private letter's head whose column of labels could not be read: the values tell by their own forms."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.labels import Field
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.markers import read_marker

_NUMBER = re.compile(
    r"^\s*(?:[가-힣A-Za-z]+\s?-?\s?)?제?\s?\d{2,6}\s?-\s?\d{1,6}(?:\s?-\s?\d{1,4})?\s?호?\s*$|^[A-Z]{2,6}-\d{2,4}-\d+\s*$"
)
_RECIPIENT = re.compile(
    r"(?:귀\s?하|귀\s?중|시장|도지사|군수|구청장|청장|장관|교육감|교육장|교장|서장|위원장|원장|소장)\s*$"
)
_ALIGNED_EM = 1.5


def head_by_form(lines: Sequence[Line]) -> list[Field]:
    """Return the head's values where date, addressee and title stand below one another above item 1; else nothing."""
    body = next((i for i, line in enumerate(lines) if _opens_body(line)), None)
    if body is None or body < 3:
        return []
    date = next((i for i in range(body) if _is_date(lines[i])), None)
    if date is None:
        return []
    x0 = lines[date].x0
    block = [i for i in range(body) if abs(lines[i].x0 - x0) < _ALIGNED_EM * lines[i].em_x and abs(i - date) < 8]
    recipient = next((i for i in block if _RECIPIENT.search(lines[i].plain)), None)
    title = block[-1]
    if recipient is None or title in (recipient, date) or title != body - 1:
        return []
    fields = [_field("date", lines, date), _field("recipient", lines, recipient), _field("title", lines, title)]
    number = next((i for i in block if abs(i - date) == 1 and _NUMBER.match(lines[i].plain)), None)
    return [*fields, _field("number", lines, number)] if number is not None else fields


def _field(name: str, lines: Sequence[Line], index: int) -> Field:
    line = lines[index]
    return Field(name, line.text, index, line.x0 - 5 * line.em_x, line.x0, False)


def _is_date(line: Line) -> bool:
    dates = find_dates(line.plain)
    return (
        len(dates) == 1 and dates[0].year is not None and len(line.plain.strip()) - (dates[0].end - dates[0].start) < 2
    )


def _opens_body(line: Line) -> bool:
    marker = read_marker(line.plain)
    return marker is not None and marker.kind == "1." and marker.order == 1
