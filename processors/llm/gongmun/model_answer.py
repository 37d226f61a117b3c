"""What becomes of a model's answer: values that stand on the page fill or correct the rules' result. Pure.

1. A value is looked for from the line that the model names on; what is not there, exactly or nearly, is dropped.
2. Only the places that a field has in a letter are open to it (`model_places`): so the letter's text cannot steer.
3. Where the rules have no value the model's fills the gap, unless it says again what they left out as unsure. Where
   they have another, the model's wins only at the rules' own place on the page and with better evidence. The value
   that loses is kept in `warnings`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.english_dates import find_english_dates
from processors.llm.gongmun.left_out import is_better, left_out
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.model_find import Found, changed, figures, placed_in, squeezed
from processors.llm.gongmun.model_places import Places, spots_of, touch
from processors.llm.gongmun.model_question import FIELDS
from processors.llm.gongmun.numbers import find_unit_number

DOUBTFUL = 0.75
"""Letters that the OCR read with less confidence than that may be corrected; a text layer's never."""

NOT_ON_PAGE, UNSURE = "model_value_not_on_page", "model_value_unsure"
_MARGIN = 0.02
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


def locate(entry: Mapping[str, Any], lines: Mapping[str, Line], count: int = 1) -> Found | str:
    """Return where a value stands from its line on, over `count` lines at most, or the code of why it is dropped."""
    value, line = str(entry.get("value", "")), lines.get(str(entry.get("line", "")))
    place = placed_in(value, _from(line, lines, count)) if line is not None and squeezed(value) else None
    if place is None:
        return NOT_ON_PAGE
    exact = squeezed(place.plain) == squeezed(value)
    if not exact and figures(place.plain) != figures(value):
        # A model sees no page: it cannot know a figure better than the reading does.
        return "model_value_changes_figures"
    return Found(" ".join(value.split()), place, exact)


def settle(merged: Tree, pointer: str, found: Found) -> None:
    """Fill the gap at `pointer`, or let the better evidenced of two values stand."""
    now = _get(merged, pointer)
    evidence = cast(dict[str, list[Tree]], merged.setdefault("evidence", {}))
    if now is None:
        read = left_out(cast(list[Tree], merged.get("warnings", [])), pointer)
        if not is_better(found, read):
            _warn(merged, UNSURE, pointer, f"the model's value was dropped: {found.value[:80]}")
        elif "origin" in merged:  # a document that is no letter stays without fields
            put(merged, pointer, found)
            if read is not None:
                _answered(merged, pointer, read)
        return
    if squeezed(str(now)) == squeezed(found.value):
        return
    old = evidence.get(pointer, [])
    same = any(touch(one, other) for one in spots_of(old) for other in spots_of(found.at.evidence()))
    if same and _better(found, old):
        _warn(merged, "rules_value_replaced", pointer, f"the rules read: {str(now)[:200]}")
        put(merged, pointer, found)
    else:
        _warn(merged, "model_value_differs", pointer, f"the model read: {found.value[:200]}")


def put(tree: Tree, pointer: str, found: Found) -> None:
    """Write a model's value and its evidence into a result."""
    *parents, last = pointer.split("/")[1:]
    node: Any = tree
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    node[last] = found.value
    entries = [{**entry, "source": "model"} for entry in found.at.evidence(found.certainty())]
    cast(dict[str, list[Tree]], tree.setdefault("evidence", {}))[pointer] = entries


def drop(tree: Tree, code: str, pointer: str, entry: Mapping[str, Any]) -> None:
    """Say that a model's value was dropped, and why."""
    _warn(tree, code, pointer, f"the model's value was dropped: {str(entry.get('value', ''))[:80]}")


def copied(tree: Tree) -> Tree:
    """Return a copy whose fields, evidence and warnings can be written to."""
    copy = {
        key: [dict(entry) if isinstance(entry, dict) else entry for entry in value]
        if isinstance(value, list)
        else value
        for key, value in tree.items()
    }
    for key in ("sender", "evidence"):
        if key in copy:
            copy[key] = dict(copy[key])
    return copy


def _copied_list(entries: Sequence[Any]) -> list[Any]:
    return [dict(cast(Tree, entry)) if isinstance(entry, dict) else entry for entry in entries]


def _from(line: Line, lines: Mapping[str, Line], count: int) -> Sequence[Line]:
    ordered = [each for each in lines.values() if each.page == line.page]
    start = ordered.index(line)
    return ordered[start : start + count]


def _better(found: Found, old: Sequence[Tree]) -> bool:
    if found.exact:
        sure = [float(entry.get("confidence", 0.0)) for entry in old]
        return found.at.confidence() > (sum(sure) / len(sure) if sure else 0.0) + _MARGIN
    glyphs = found.at.squeeze().glyphs
    confidences = [glyph.confidence for i in changed(found) if (glyph := glyphs[i]) is not None]
    return bool(confidences) and sum(confidences) / len(confidences) < DOUBTFUL


def _answered(tree: Tree, pointer: str, read: str) -> None:
    """Replace the warning that a value was left out by one that says what filled the gap."""
    warnings = cast(list[Tree], tree["warnings"])
    tree["warnings"] = [w for w in warnings if (w.get("code"), w.get("pointer")) != ("unsure", pointer)]
    _warn(tree, "model_value_filled", pointer, f"the rules were not sure and had read: {read[:200]}")


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


def _get(tree: Tree, pointer: str) -> Any:
    node: Any = tree
    for part in pointer.split("/")[1:]:
        if isinstance(node, list):
            node = node[int(part)] if int(part) < len(cast(list[Any], node)) else None
        else:
            node = cast(Tree, node).get(part) if isinstance(node, dict) else None
    return node


def _warn(tree: Tree, code: str, pointer: str, message: str) -> None:
    cast(list[Tree], tree.setdefault("warnings", [])).append({"code": code, "pointer": pointer, "message": message})
