"""What becomes of a model's answer: values that stand on the page fill or correct the rules' result. Pure.

1. A value is looked for from the line that the model names on; what is not there, exactly or nearly, is dropped.
2. Only the places that a field has in a letter are open to it (`model_places`): so the letter's text cannot steer.
3. Where the rules have no value the model's fills the gap, unless it says again what they left out as unsure. Where
   they have another, the model's wins only at the rules' own place on the page and with better evidence. The value
   that loses is kept in `warnings`.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.english_dates import find_english_dates
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.model_find import Found
from processors.llm.gongmun.model_lists import merge_disclosure, merge_lists
from processors.llm.gongmun.model_places import Places
from processors.llm.gongmun.model_question import FIELDS
from processors.llm.gongmun.model_settle import copied, drop, locate, settle
from processors.llm.gongmun.numbers import find_unit_number

_TITLE_LINES = 4
_LONGEST_NUMBER = 40

Tree = dict[str, Any]


def merge(result: Tree, lines: Mapping[str, Line], answer: Mapping[str, Any]) -> Tree:
    """Return the rules' result with what the model's answer adds and corrects; `result` itself stays as it is."""
    merged = copied(result)
    places = Places.of(result, lines)
    for name, pointer in FIELDS.items():
        given = answer.get(name)
        if not isinstance(given, Mapping):
            continue
        entry = cast(Mapping[str, Any], given)
        found = find(name, entry, lines, places)
        if isinstance(found, str):
            drop(merged, found, pointer, entry)
        else:
            settle(merged, pointer, found)
    merge_disclosure(merged, lines, answer.get("disclosure"), places)
    merge_lists(merged, lines, answer, places)
    return merged


def find(name: str, entry: Mapping[str, Any], lines: Mapping[str, Line], places: Places) -> Found | str:
    """Return where a value of head or tail stands, or the code of why it is dropped."""
    line_id = str(entry.get("line", ""))
    found = locate(entry, lines, _TITLE_LINES if name == "title" else 1)
    if isinstance(found, str):
        return found
    closed = places.why_closed(name, line_id, lines[line_id], found.at)
    if closed:
        return closed
    if name == "issue_date":
        iso = _iso(found.at.plain, places)
        return Found(iso, found.at, True) if iso else "model_value_is_no_date"
    if name == "document_number" and not _is_number(found.value, places):
        return "model_value_is_no_number"
    return found


def _is_number(value: str, places: Places) -> bool:
    """Tell whether a value has the form of a number, and nothing beside it."""
    if places.origin == "domestic_public":
        match = find_unit_number(value)
        return match is not None and match.span() == (0, len(value))
    return bool(re.search(r"\d", value)) and not find_dates(value) and len(value) <= _LONGEST_NUMBER


def _iso(text: str, places: Places) -> str | None:
    korean = find_dates(text)
    if korean:
        return korean[0].iso()
    english = find_english_dates(text, places.months_lead)
    return english[0].iso() if english else None
