"""The three zones of a Korean letter: head (두문), body (본문) with its attachments, tail (결문)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from processors.llm.gongmun.attachments import attachments_start
from processors.llm.gongmun.items import ends_body
from processors.llm.gongmun.labels import Field, labelled
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.markers import read_marker
from processors.llm.gongmun.placed import EMPTY, Placed, joined
from processors.llm.gongmun.seal import is_omission
from processors.llm.gongmun.signature import is_office_apart, signature_start
from processors.llm.gongmun.unlabelled import head_by_form

_TAIL_START = re.compile(
    r"^\s*(?:수\s*신\s*자\s|[★☆⊙]|협\s*조\s*자|[시사]\s*행\s+\S*[가-힣]\S*\s*-?\s*\d|기\s*안\s*자)"
)
_LABELS_REST = re.compile(r"\s*\S{1,3}(?:\s\S)?\s{0,2}[:;]\s*")
_HEAD_REACH = 0.75
_LARGE = 1.2


@dataclass(frozen=True, slots=True)
class Zones:
    """A Korean letter's lines by zone, and the labelled values of its head."""

    head: tuple[Line, ...]
    fields: tuple[Field, ...]
    title: Placed
    body: tuple[Line, ...]
    attachments: tuple[Line, ...]
    tail: tuple[Line, ...]
    above: tuple[Line, ...]

    def field(self, name: str) -> Placed:
        """Return the value behind a label of the head, empty when it is not there or has no value."""
        return next((field.value for field in self.fields if field.name == name and field.value), EMPTY)


def split_zones(lines: Sequence[Line]) -> Zones:
    """Find the zones by labels, 끝., 붙임, type size and place."""
    fields = _head_fields(lines)
    if not {field.name for field in fields} & {"title", "recipient"}:
        fields = head_by_form(lines)
    last = max((field.index for field in fields), default=-1)
    first = min((field.index for field in fields), default=0)
    fields += _unlabelled(lines, fields)
    last = max((field.index for field in fields), default=-1)
    first = min((field.index for field in fields), default=0)
    title_field = next((field for field in fields if field.name == "title"), None)
    title, start = EMPTY, last + 1
    if title_field is not None:
        title, title_end = _title(lines, title_field)
        start = max(title_end, last + 1)
    end, closed = _body_end(lines, start)
    attached = attachments_start(lines, start, end if closed else min(len(lines), end + 12))
    if attached is not None and not closed:
        end = _attachments_end(lines, attached)
    body_end = attached if attached is not None else end
    return Zones(
        head=tuple(lines[:start]),
        fields=tuple(fields),
        title=title,
        body=tuple(lines[start:body_end]),
        attachments=tuple(lines[attached:end]) if attached is not None else (),
        tail=tuple(lines[end:]),
        above=tuple(lines[:first]),
    )


def _head_fields(lines: Sequence[Line]) -> list[Field]:
    """Take the labelled lines from the first label to 제목 (or to the last label before the body)."""
    page = lines[0].page if lines else 1
    reach = next((i for i, line in enumerate(lines) if line.page != page or line.y > _HEAD_REACH), len(lines))
    fields = [field for field in labelled(lines, 0, reach) if field.name != "recipients_list" or field.colon]
    title = next((field.index for field in fields if field.name == "title"), None)
    if title is None:
        stop = next((i for i in range(reach) if read_marker(lines[i].plain)), reach)
        return [field for field in fields if field.index < stop]
    # Private letters may go on behind the title with the date or the reference.
    kept = [field for field in fields if field.index <= title]
    following = title + 1
    for field in fields:
        if (
            field.index > title
            and field.colon
            and field.index <= following
            and field.name in ("references", "date", "number", "sender", "recipient", "via")
        ):
            kept.append(field)
            following = field.index + 1
    return kept


def _unlabelled(lines: Sequence[Line], fields: Sequence[Field]) -> list[Field]:
    """Find 수신 and 제목 whose labels are unreadable by their place: beside (경유), aligned with their neighbours."""
    names = {field.name for field in fields}
    found: list[Field] = []
    if "recipient" not in names and names & {"via", "title"}:
        last = min(field.index for field in fields if field.name in ("via", "title"))
        first = min(last - 1, min(field.index for field in fields))
        places = (_by_place(lines, index, "recipient", fields) for index in range(first, last))
        found += next(filter(None, places), [])
    if "title" not in names and names & {"via", "recipient"}:
        index = max(field.index for field in fields) + 1
        found += _by_place(lines, index, "title", fields)
    return found


def _by_place(lines: Sequence[Line], index: int, name: str, fields: Sequence[Field]) -> list[Field]:
    if not 0 <= index < len(lines) or any(field.index == index for field in fields):
        return []
    line = lines[index]
    if len(line.cells) > 1 and len(line.cells[0].text.text) <= 4:
        value = joined((cell.text for cell in line.cells[1:]), "  ")
        if abs(line.x0 - min(field.label_x for field in fields)) < 1.5 * line.em_x:
            return [Field(name, value, index, line.x0, line.cells[1].x0, False)]
    # What is left of a letter-spaced label, or among other labels nothing, before a value in line with its neighbours'.
    rest = _LABELS_REST.match(line.plain)
    value = line.text.cut(rest.end() if rest else 0)
    among = name == "recipient" and index > min(field.index for field in fields)
    if value and (rest or among) and any(abs(line.x_of(value) - field.value_x) < 0.5 * line.em_x for field in fields):
        return [Field(name, value, index, line.x0, line.x_of(value), False)]
    return []


def _title(lines: Sequence[Line], field: Field) -> tuple[Placed, int]:
    """Join the title with the lines that go on below its first letter; return it and the index behind it."""
    parts = [field.value]
    previous = lines[field.index]
    index = field.index + 1
    pitch: float | None = None
    while index < len(lines) and len(parts) < 4:
        line = lines[index]
        gap = line.y - previous.y
        aligned = abs(line.x0 - field.value_x) < 1.2 * line.em_x
        near = gap < (2.3 * previous.em if pitch is None else 1.25 * pitch)
        indented = line.x0 > field.label_x + 1.6 * line.em_x
        marker = read_marker(line.plain)
        if line.page != previous.page or not near or not aligned or not indented or (marker and marker.order == 1):
            break
        if field.value and previous.x1 < 0.6 and len(parts) == 1 and not parts[0].text.endswith(("및", ",", "·")):
            break
        parts.append(line.text)
        pitch, previous, index = gap, line, index + 1
    return joined(part for part in parts), index


def _body_end(lines: Sequence[Line], start: int) -> tuple[int, bool]:
    """Return the index behind the body with its 붙임, and whether 끝. was there to tell."""
    for index in range(start, len(lines)):
        if ends_body(lines[index].plain):
            return index + 1, True
    # Of a short body most of the twelve lines are the tail's small print.
    usual = max((median(line.em for line in lines[start : start + n]) for n in (3, 12) if lines[start:]), default=0.0)
    for index in range(start, len(lines)):
        line = lines[index]
        signed = signature_start(lines, index, start)
        if signed is not None or _TAIL_START.search(line.plain) or is_omission(line):
            return index if signed is None else signed, False
        if index > start and is_office_apart(line, lines[index - 1], min(other.x0 for other in lines[start:index])):
            return index, False
        # A row of figures is a table's, however high a speck makes one of them; offices are called by three at most.
        short = len(line.plain.replace(" ", "")) <= 24 and len(re.findall(r"\d", line.plain)) <= 3
        if (
            index > start
            and short
            and line.size > _LARGE * usual
            and 0.3 < line.centre < 0.85
            and not read_marker(line.plain)
        ):
            return index, False
    return len(lines), False


def _attachments_end(lines: Sequence[Line], start: int) -> int:
    """Without 끝., the attachments end where numbering, indentation or line pitch ends."""
    index = start + 1
    while index < len(lines):
        line, previous = lines[index], lines[index - 1]
        marker = read_marker(line.plain)
        numbered = marker is not None and marker.kind == "1." and marker.order > 1
        wrapped = (
            line.x0 > lines[start].x0 + 2 * line.em_x
            and line.y - previous.y < 2.2 * line.em
            and line.page == previous.page
        )
        goes_on = wrapped and line.size < _LARGE * previous.em and signature_start(lines, index, start) is None
        if not numbered and not goes_on:
            break
        index += 1
    return index
