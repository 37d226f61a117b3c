"""What an English letter lists below its close: enclosures, and who gets a copy."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.english_marks import COPY, ENCLOSURES
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import Placed, Read, as_written, joined
from processors.llm.gongmun.result import Tree

_ITEM = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|[-•*·])\s*")
_COPIES = re.compile(r"\s*\((?P<written>(?P<n>\d+|one|two|three|four)\s+(?:copies|copy|pages?|sets?))\)\s*$", re.I)
_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4}


def find_enclosures(lines: Sequence[Line]) -> list[Tree]:
    """Return `number`, `name` and `count` of each enclosure, as far as they are written."""
    start = next((i for i, line in enumerate(lines) if ENCLOSURES.match(line.plain)), None)
    if start is None:
        return []
    label = ENCLOSURES.match(lines[start].plain)
    first = lines[start].text.cut(label.end() if label else 0)
    entries: list[Placed] = [part for part in _split_inline(first) if part]
    for line in lines[start + 1 :]:
        if COPY.match(line.plain) or re.search(r"@|www\.|\bTel\b|\+\d{2}", line.plain):
            break
        numbered = _ITEM.match(line.plain)
        if line.page != lines[start].page and not (numbered and _next_number(numbered) == len(entries) + 1):
            break  # what stands on a further page is attached, unless the numbering goes on
        if not numbered and entries and line.y - _last_y(lines, line) > 2.4 * line.em:
            break
        if numbered or not entries or (line.x0 <= lines[start].x0 + 12 * line.em_x and not _wraps(lines, line)):
            entries.append(line.text)
        else:
            entries[-1] = joined([entries[-1], line.text])
    return [entry for entry in map(_enclosure, entries) if entry]


def _next_number(item: re.Match[str]) -> int:
    return int("0" + re.sub(r"\D", "", item.group()))


def _last_y(lines: Sequence[Line], line: Line) -> float:
    index = next(i for i, other in enumerate(lines) if other is line)
    return lines[index - 1].y if index else line.y


def _wraps(lines: Sequence[Line], line: Line) -> bool:
    index = next(i for i, other in enumerate(lines) if other is line)
    return index > 0 and lines[index - 1].x1 > 0.8


def _split_inline(text: Placed) -> list[Placed]:
    if not text:
        return []
    starts = [m.start() for m in re.finditer(r"(?:^|(?<=[\s;,]))\(?\d{1,2}[.)]\s", text.plain)]
    if starts and starts[0] == 0:
        return [text.cut(a, b).strip(";,") for a, b in zip(starts, [*starts[1:], len(text.text)], strict=True)]
    parts: list[Placed] = []
    start = 0
    for match in re.finditer(r";\s*", text.plain):
        parts.append(text.cut(start, match.start()))
        start = match.end()
    return [*parts, text.cut(start)]


def _enclosure(text: Placed) -> Tree:
    tree: Tree = {}
    number = re.match(r"^\s*\(?(?P<n>\d{1,2})[.)]\s*", text.plain)
    if number:
        tree["number"] = Read(int(number["n"]), text.cut(number.start("n"), number.end("n")))
        text = text.cut(number.end())
    bullet = re.match(r"^[-•*·]\s*", text.plain)
    if bullet:
        text = text.cut(bullet.end())
    copies = _COPIES.search(text.plain)
    name = (text.cut(0, copies.start()) if copies else text).strip(".,;")
    if not name:
        return {}
    tree["name"] = as_written(name)
    if copies:
        written = text.cut(copies.start("written"), copies.end("written"))
        tree["count"] = Read(_WORDS.get(copies["n"].lower()) or int(copies["n"]), written)
        tree["count_as_written"] = as_written(written)
    return tree


def find_copies(lines: Sequence[Line]) -> list[Tree]:
    """Return the `name` of each who gets a copy."""
    start = next((i for i, line in enumerate(lines) if COPY.match(line.plain)), None)
    if start is None:
        return []
    label = COPY.match(lines[start].plain)
    entries = [lines[start].text.cut(label.end() if label else 0)]
    for line in lines[start + 1 :]:
        if (
            line.page != lines[start].page
            or line.y - _last_y(lines, line) > 2.2 * line.em
            or line.x0 < lines[start].x0 + line.em_x
            or re.search(r"@|www\.|\+\d", line.plain)
        ):
            break
        entries.append(line.text)
    names = [part for entry in entries for part in _split_inline(entry)]
    return [{"name": as_written(name.strip(".,;"))} for name in names if name]
