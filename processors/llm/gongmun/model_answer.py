"""What becomes of a model's answer: values that stand on the page fill or correct the rules' result. Pure.

1. A value is looked for from the line that the model names on; what is not there, exactly or nearly, is dropped.
2. What stands in the body, or inside a sentence, is no value of head or tail: so the letter's text cannot steer.
3. Where the rules have no value the model's fills the gap. Where they have another, the model's wins only at the
   rules' own place on the page and with better evidence. The value that loses is kept in `warnings`.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, cast

from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.english_dates import find_english_dates
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.model_question import FIELDS
from processors.llm.gongmun.placed import Placed, joined

NEAR = 0.8
"""Least likeness of a value and the text on the page; a slip in every fifth letter is the most that is believed."""

DOUBTFUL = 0.75
"""Letters that the OCR read with less confidence than that may be corrected; a text layer's never."""

_MARGIN = 0.02
_TITLE_LINES = 4
_LABEL_LETTERS = 12
_BODY_LETTERS = 8
_SENTENCE = re.compile(r"(?:[다오요라]|것)\s*[.!]?\s*$|[a-z]\s*[.!]\s*$")

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A value of the model and where it stands; `exact` when the page has it letter by letter."""

    value: str
    at: Placed
    exact: bool


def merge(result: Tree, lines: Mapping[str, Line], answer: Mapping[str, Any]) -> Tree:
    """Return the rules' result with what the model's answer adds and corrects; `result` itself stays as it is."""
    merged = _copied(result)
    body = _squeezed(str(cast(Tree, result.get("body") or {}).get("text", "")))
    for name, pointer in FIELDS.items():
        given = answer.get(name)
        if not isinstance(given, Mapping):
            continue
        entry = cast(Mapping[str, Any], given)
        found = find(name, str(entry.get("value", "")), str(entry.get("line", "")), lines, body)
        if isinstance(found, str):
            _warn(merged, found, pointer, f"the model's value was dropped: {str(entry.get('value', ''))[:80]}")
        else:
            _settle(merged, pointer, found)
    return merged


def find(name: str, value: str, line_id: str, lines: Mapping[str, Line], body: str) -> Found | str:
    """Return where a value stands, or the code of why it is dropped; `body` is the body's text without spaces."""
    line = lines.get(line_id)
    if line is None or not _squeezed(value):
        return "model_value_not_on_page"
    if len(_squeezed(line.plain)) >= _BODY_LETTERS and _squeezed(line.plain) in body:
        return "model_value_in_body"
    place = _placed_in(value, _from(line, lines, _TITLE_LINES if name == "title" else 1))
    if place is None:
        return "model_value_not_on_page"
    beside = len(_squeezed(line.plain)) - len(_squeezed(place.plain))
    if beside > _LABEL_LETTERS and (name in ("title", "organisation") or _SENTENCE.search(line.plain)):
        return "model_value_in_sentence"
    if name == "issue_date":
        iso = _iso(place.plain)
        return Found(iso, place, True) if iso else "model_value_is_no_date"
    if name == "document_number" and not re.search(r"\d", value):
        return "model_value_is_no_number"
    exact = _squeezed(place.plain) == _squeezed(value)
    if not exact and re.sub(r"\D", "", place.plain) != re.sub(r"\D", "", value):
        # A model sees no page: it cannot know a figure better than the reading does.
        return "model_value_changes_figures"
    return Found(" ".join(value.split()), place, exact)


def _from(line: Line, lines: Mapping[str, Line], count: int) -> list[Placed]:
    ordered = [each for each in lines.values() if each.page == line.page]
    start = ordered.index(line)
    return [each.text for each in ordered[start : start + count]]


def _placed_in(value: str, texts: Sequence[Placed]) -> Placed | None:
    """Return the part of the texts that a value is, exactly or most nearly; None when nothing is near."""
    wanted = _squeezed(value)
    for count in range(1, len(texts) + 1):
        text = joined(texts[:count]).squeeze()
        at = _folded(text.plain).find(wanted)
        if at >= 0:
            return text.cut(at, at + len(wanted))
    best: tuple[float, Placed] | None = None
    for count in range(1, len(texts) + 1):
        text = joined(texts[:count]).squeeze()
        plain = _folded(text.plain)
        for length in {max(1, len(wanted) - 1), len(wanted), len(wanted) + 1}:
            for start in range(max(1, len(plain) - length + 1)):
                part = plain[start : start + length]
                likeness = SequenceMatcher(None, part, wanted, autojunk=False).ratio()
                if likeness >= NEAR and (best is None or likeness > best[0]):
                    best = likeness, text.cut(start, start + length)
    return best[1] if best else None


def _settle(merged: Tree, pointer: str, found: Found) -> None:
    now = _get(merged, pointer)
    evidence = cast(dict[str, list[Tree]], merged.setdefault("evidence", {}))
    if now is None:
        if "origin" in merged:  # a document that is no letter stays without fields
            _put(merged, pointer, found.value)
            evidence[pointer] = _entries(found, 1.0 if found.exact else NEAR)
        return
    if _squeezed(str(now)) == _squeezed(found.value):
        return
    old = evidence.get(pointer, [])
    if _same_place(old, found.at.evidence()) and _better(found, old):
        _warn(merged, "rules_value_replaced", pointer, f"the rules read: {str(now)[:200]}")
        _put(merged, pointer, found.value)
        evidence[pointer] = _entries(found, 1.0 if found.exact else NEAR)
    else:
        _warn(merged, "model_value_differs", pointer, f"the model read: {found.value[:200]}")


def _better(found: Found, old: Sequence[Tree]) -> bool:
    if found.exact:
        sure = [float(entry.get("confidence", 0.0)) for entry in old]
        return found.at.confidence() > (sum(sure) / len(sure) if sure else 0.0) + _MARGIN
    changed = _changed_confidences(found)
    return bool(changed) and sum(changed) / len(changed) < DOUBTFUL


def _changed_confidences(found: Found) -> list[float]:
    """Return how sure the OCR was of the letters that the model has otherwise."""
    text = found.at.squeeze()
    matcher = SequenceMatcher(None, _folded(text.plain), _squeezed(found.value), autojunk=False)
    confidences: list[float] = []
    for kind, start, end, _, _ in matcher.get_opcodes():
        if kind != "equal":
            # Of what was left out, the neighbours tell.
            near = text.glyphs[start:end] or text.glyphs[max(0, start - 1) : start + 1]
            confidences += [glyph.confidence for glyph in near if glyph]
    return confidences


def _entries(found: Found, certainty: float) -> list[Tree]:
    return [{**entry, "source": "model"} for entry in found.at.evidence(certainty)]


def _same_place(old: Sequence[Tree], new: Sequence[Tree]) -> bool:
    def touch(a: Tree, b: Tree) -> bool:
        one, other = a.get("bbox"), b.get("bbox")
        if not one or not other or a.get("page") != b.get("page"):
            return False
        return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])

    return any(touch(a, b) for a in old for b in new)


def _iso(text: str) -> str | None:
    korean = find_dates(text)
    if korean:
        return korean[0].iso()
    english = find_english_dates(text)
    return english[0].iso() if english else None


def _get(tree: Tree, pointer: str) -> Any:
    node: Any = tree
    for part in pointer.split("/")[1:]:
        node = cast(Tree, node).get(part) if isinstance(node, dict) else None
    return node


def _put(tree: Tree, pointer: str, value: str) -> None:
    *parents, last = pointer.split("/")[1:]
    node = tree
    for part in parents:
        node = cast(Tree, node.setdefault(part, {}))
    node[last] = value


def _warn(tree: Tree, code: str, pointer: str, message: str) -> None:
    cast(list[Tree], tree.setdefault("warnings", [])).append({"code": code, "pointer": pointer, "message": message})


def _copied(tree: Tree) -> Tree:
    copy = dict(tree)
    for key in ("sender", "evidence"):
        if key in copy:
            copy[key] = dict(copy[key])
    if "warnings" in copy:
        copy["warnings"] = list(copy["warnings"])
    return copy


def _folded(text: str) -> str:
    """Fold width and case, letter by letter, so that positions stay."""
    folded = (unicodedata.normalize("NFKC", letter) for letter in text)
    return "".join(new.lower() if len(new) == 1 else old for new, old in zip(folded, text, strict=True))


def _squeezed(text: str) -> str:
    return _folded("".join(text.split()))
