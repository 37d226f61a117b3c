"""Where an English letter's parts lie: head, addressee block, subject, body, and what follows the close."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from processors.llm.gongmun.english_marks import CLOSE, COPY, ENCLOSURES, SALUTATION, SUBJECT
from processors.llm.gongmun.english_numbers import is_reference
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import EMPTY, Placed, joined


@dataclass(frozen=True, slots=True)
class EnglishParts:
    """The letter divided; `after` begins with the close, or with enclosures or copies where there is none."""

    head: Sequence[Line]
    address: Sequence[Line]
    title: Placed
    body: Sequence[Line]
    after: Sequence[Line]


def divide(lines: Sequence[Line], date_line: int | None) -> EnglishParts:
    """Divide a letter; `date_line` is the index of the line with its date, if that was found."""
    salutation = next((i for i, line in enumerate(lines) if SALUTATION.match(line.plain)), None)
    subject = next((i for i, line in enumerate(lines) if SUBJECT.match(line.plain)), None)
    close = next((i for i, line in enumerate(lines) if CLOSE.match(line.plain) and len(line.plain) < 40), None)
    body_start = max((salutation if salutation is not None else -1), -1) + 1
    title = EMPTY
    if subject is not None and (close is None or subject < close):
        label = SUBJECT.match(lines[subject].plain)
        title, title_end = _title(lines, subject, lines[subject].text.cut(label.end() if label else 0))
        body_start = max(body_start, title_end)
    elif salutation is not None and salutation + 1 < len(lines) and _is_heading(lines, salutation + 1):
        title, body_start = _title(lines, salutation + 1, lines[salutation + 1].text)
    end = close if close is not None else _after_body(lines, body_start)
    head_end = _address_start(lines, date_line, min(i for i in (salutation, subject, end) if i is not None))
    address_end = min(i for i in (salutation, subject, end) if i is not None)
    return EnglishParts(lines[:head_end], lines[head_end:address_end], title, lines[body_start:end], lines[end:])


def _title(lines: Sequence[Line], index: int, first: Placed) -> tuple[Placed, int]:
    parts = [first]
    line = lines[index]
    following = index + 1
    while following < len(lines) and len(parts) < 3:
        candidate = lines[following]
        near = candidate.y - lines[following - 1].y < 2.1 * max(line.em, candidate.em)
        if (
            not near
            or lines[following - 1].x1 < 0.7
            or SALUTATION.match(candidate.plain)
            or candidate.page != line.page
        ):
            break
        parts.append(candidate.text)
        following += 1
    return joined(parts), following


def _is_heading(lines: Sequence[Line], index: int) -> bool:
    """A subject without label is a short line without final stop, with space below it."""
    line = lines[index]
    if re.search(r"[.,;?!]\s*$", line.plain) or len(line.plain) > 110 or index + 1 >= len(lines):
        return False
    if line.plain.isupper():
        return True
    words = [word for word in re.findall(r"[A-Za-z]+", line.plain) if len(word) > 3]
    capital = sum(word[0].isupper() for word in words)
    below = lines[index + 1]
    return (below.y - line.y > 1.9 * line.em or capital >= 0.6 * max(1, len(words))) and line.x1 < 0.86


def _after_body(lines: Sequence[Line], start: int) -> int:
    return next(
        (i for i in range(start, len(lines)) if ENCLOSURES.match(lines[i].plain) or COPY.match(lines[i].plain)),
        len(lines),
    )


def _address_start(lines: Sequence[Line], date_line: int | None, end: int) -> int:
    """The addressee block begins behind date and references; without these behind the last letterhead line."""
    start = -1
    for i in range(end):
        if i == date_line or is_reference(lines[i].plain):
            start = i
    block = _block_above(lines, end)
    if start >= 0 and start + 1 < end:
        return start + 1
    return block


def _block_above(lines: Sequence[Line], end: int) -> int:
    index = end
    while index > 0 and (index == end or lines[index].y - lines[index - 1].y < 2.4 * lines[index].em):
        index -= 1
    return index
