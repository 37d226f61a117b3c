"""How a value of the model gets into a result: found on the page, weighed, written with its place. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from processors.llm.gongmun.left_out import is_better, left_out, without_answered
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.model_find import Found, changed, figures, placed_in, squeezed
from processors.llm.gongmun.model_places import spots_of, touch

DOUBTFUL = 0.75
"""Letters that the OCR read with less confidence than that may be corrected; a text layer's never."""

NOT_ON_PAGE, UNSURE = "model_value_not_on_page", "model_value_unsure"
_MARGIN = 0.02
_LISTS = ("recipients", "attachments", "requested_actions", "contacts", "related_documents")

Tree = dict[str, Any]


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


def settle(merged: Tree, pointer: str, found: Found, root: str = "") -> None:
    """Fill the gap at `pointer`, or let the better evidenced of two values stand.

    `root` is the list that the value is an entry of: what was left out of it may have stood at any place in it.
    """
    now = get(merged, pointer)
    evidence = cast(dict[str, list[Tree]], merged.setdefault("evidence", {}))
    if now is None:
        if not is_wanted(merged, found, root or pointer):
            warn(merged, UNSURE, pointer, f"the model's value was dropped: {found.value[:80]}")
        elif "origin" in merged:  # a document that is no letter stays without fields
            put(merged, pointer, found)
            _answered(merged, pointer, found, root or pointer)
        return
    if squeezed(str(now)) == squeezed(found.value):
        return
    old = evidence.get(pointer, [])
    same = any(touch(one, other) for one in spots_of(old) for other in spots_of(found.at.evidence()))
    if same and _better(found, old):
        warn(merged, "rules_value_replaced", pointer, f"the rules read: {str(now)[:200]}")
        put(merged, pointer, found)
    else:
        warn(merged, "model_value_differs", pointer, f"the model read: {found.value[:200]}")


def is_wanted(tree: Tree, found: Found, pointer: str) -> bool:
    """Tell whether a value is better evidenced than what the rules left out at `pointer` and below it."""
    return is_better(found, left_out(cast(list[Tree], tree.get("warnings", [])), pointer))


def put(tree: Tree, pointer: str, found: Found) -> None:
    """Write a model's value and its evidence into a result; a list grows by an entry where its end is pointed to."""
    *parents, last = pointer.split("/")[1:]
    node: Any = tree
    for part in parents:
        if isinstance(node, list):
            entries = cast(list[Any], node)
            if int(part) == len(entries):
                entries.append({})
            node = entries[int(part)]
        else:
            node = node.setdefault(part, [] if part in _LISTS else {})
    node[last] = found.value
    entries = [{**entry, "source": "model"} for entry in found.at.evidence(found.certainty())]
    cast(dict[str, list[Tree]], tree.setdefault("evidence", {}))[pointer] = entries


def drop(tree: Tree, code: str, pointer: str, entry: Mapping[str, Any]) -> None:
    """Say that a model's value was dropped, and why."""
    warn(tree, code, pointer, f"the model's value was dropped: {str(entry.get('value', ''))[:80]}")


def copied(tree: Tree) -> Tree:
    """Return a copy whose fields, evidence and warnings can be written to."""
    copy = {
        key: _copied_list(cast(list[Any], value)) if isinstance(value, list) else value for key, value in tree.items()
    }
    for key in ("sender", "evidence", "disclosure"):
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


def _answered(tree: Tree, pointer: str, found: Found, root: str) -> None:
    """Replace the warning that a value was left out by one that says what filled the gap."""
    warnings = cast(list[Tree], tree.get("warnings", []))
    kept = without_answered(warnings, root, found)
    if len(kept) < len(warnings):
        (gone,) = (w for w in warnings if not any(w is other for other in kept))
        tree["warnings"] = list(kept)
        warn(tree, "model_value_filled", pointer, f"the rules were not sure: {str(gone.get('message', ''))[:200]}")


def get(tree: Tree, pointer: str) -> Any:
    """Return the value at a JSON Pointer, None when there is none."""
    node: Any = tree
    for part in pointer.split("/")[1:]:
        if isinstance(node, list):
            node = node[int(part)] if int(part) < len(cast(list[Any], node)) else None
        else:
            node = cast(Tree, node).get(part) if isinstance(node, dict) else None
    return node


def warn(tree: Tree, code: str, pointer: str, message: str) -> None:
    """Add a warning."""
    cast(list[Tree], tree.setdefault("warnings", [])).append({"code": code, "pointer": pointer, "message": message})
