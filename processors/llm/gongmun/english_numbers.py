"""The letter's own number in an English letter's head: what stands behind `Our ref`, `Ref` or `No.`."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.english_dates import find_english_dates
from processors.llm.gongmun.english_marks import BARE_NUMBER, OUR_REF, REF, YOUR_REF
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import EMPTY, Placed

_FIRST = re.compile(r"[A-Z0-9][\w/.\-()&]*", re.I)
_PREFIX = re.compile(r"[A-Z]{1,6}(?:[/.&-][A-Z]{1,4})*\.?|[A-Z]?[&/\-]")
"""Letters in front of the figures, parted from them: `KM 25/114`."""
_MORE = re.compile(r"\s(?=\d)[\w/\-]+|\s?[/\-]\s?[\w.\-]+")
_MOST_PREFIXES = 3
_COMPOSED = re.compile(r"[A-Za-z]\W?\d|\d[/\-]\d|\d[/\-]?[A-Za-z]")
_COLON = re.compile(r"[:;.]\s*$")
_ENDS = re.compile(r"\s*(?:$|\s{2}|[|;,]?\s*(?:dated?|of)\b|,\s*(?=\d|[A-Z][a-z]+\s\d))", re.I)


def own_number(head: Sequence[Line]) -> Placed:
    """Return the letter's number from the lines before its body, empty when none is there."""
    for pattern in (OUR_REF, REF, BARE_NUMBER):
        for line in head:
            for label in pattern.finditer(line.plain):
                if pattern is not OUR_REF and YOUR_REF.search(line.plain[: label.end()]):
                    continue
                found = number_at(line.text.cut(label.end()), bare=pattern is BARE_NUMBER)
                if found:
                    return found
    return EMPTY


def is_reference(plain: str) -> bool:
    """Tell whether a line of the head gives a reference, ours or theirs."""
    if OUR_REF.search(plain) or YOUR_REF.search(plain):
        return True
    label = REF.search(plain)
    return label is not None and bool(_COLON.search(label.group()) or re.search(r"\d", plain[label.end() :]))


def number_at(text: Placed, *, bare: bool = False) -> Placed:
    """Return the number that a text begins with, empty for none; a `bare` one has no label but `No.`."""
    plain = text.plain
    stop = min([len(plain), *(d.start for d in find_english_dates(plain) if d.start)])
    cell = plain[:stop].split("  ")[0].rstrip()
    at, prefixes = 0, 0
    first = _FIRST.match(cell)
    while first and not re.search(r"\d", first.group()):
        if not _PREFIX.fullmatch(first.group()) or prefixes == _MOST_PREFIXES:
            return EMPTY
        prefixes += 1
        at = first.end() + len(cell[first.end() :]) - len(cell[first.end() :].lstrip(" /-"))
        first = _FIRST.match(cell, at)
    if first is None:
        return EMPTY
    end = first.end()
    while more := _MORE.match(cell, end):
        end = more.end()
    value = text.cut(0, end).strip(".,;:" if "(" in plain[:end] else ".,;:)")
    if bare and not (_COMPOSED.search(value.plain) and _ENDS.match(plain[end:])):
        return EMPTY
    return value
