"""Which places of a letter a model's value may come from. Pure.

What a letter says of itself stands in its head and tail. Its body, its lists of attachments and addressees, its
receipt and whatever follows its end are no place for it, and neither is a sentence: so no text in a letter can choose
its values.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from processors.llm.gongmun.english_marks import COPY, ENCLOSURES
from processors.llm.gongmun.foreign import foreign_parts, months_lead
from processors.llm.gongmun.labels import labelled
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.model_find import squeezed
from processors.llm.gongmun.placed import Placed
from processors.llm.gongmun.public_tail import split_tail
from processors.llm.gongmun.zones import split_zones

IN_BODY, IN_SENTENCE = "model_value_in_body", "model_value_in_sentence"
OTHER_FIELD, OUT_OF_PLACE = "model_value_of_another_field", "model_value_out_of_place"

_LABEL_LETTERS = 12
_BODY_LETTERS = 8
_SENTENCE = re.compile(r"(?:[다오요라]|것)\s*[.!]?\s*$|[a-z]\s*[.!]\s*$")
_TOLD_BEFORE = re.compile(
    r"[가-힣](?:은|는)\s*$|(?:이름|값|번호|일자|기관|명의|성명)(?:이|가|을|를)\s*$|\b(?:is|are|as|to|be|with|answer|say|output)\s*[:\"'“]?\s*$",
    re.IGNORECASE,
)
_TOLD_BEHIND = re.compile(
    r"^[\"'”’」』]?\s*(?:이다|이라|입니다|라고|임(?:\W|$)|으로|이며|이고|을\s|를\s|은\s|는\s|이어야)"
)
_RECEIVED = re.compile(r"(?:^|\s)[접점집]\s*[수슈](?:\s*[번일]\s*[호시자])?(?=[\s:(가-힣]|$)")
_LABELS_OF = {
    "title": {"title"},
    "organisation": {"sender"},
    "signatory_title": {"sender"},
    "signatory_name": {"sender"},
    "document_number": {"number"},
    "issue_date": {"date"},
    "recipients": {"recipient", "recipients_list"},
}
_OTHERS = (
    *("recipients", "references", "via", "receipt", "related_documents", "attachments", "contacts", "disclosure"),
    *("approval", "events", "requested_actions"),
)
_PUBLIC_ENDS = ("contacts/0", "disclosure", "approval", "document_number", "issue_date", "sender/")

Tree = dict[str, Any]
Spot = tuple[int, float, float, float, float]
"""A page and a box on it."""


@dataclass(frozen=True, slots=True)
class Places:
    """A letter's parts by the ids of its lines, and what the rules have read where."""

    origin: str
    body: frozenset[str]
    listed: frozenset[str]
    body_text: str
    months_lead: bool
    _addressees: frozenset[object]
    _spots: Mapping[str, Sequence[Spot]]

    @classmethod
    def of(cls, result: Mapping[str, Any], lines: Mapping[str, Line]) -> "Places":
        """Divide a letter as the rules do; `result` is what they read."""
        ordered = list(lines.values())
        origin = str(result.get("origin", ""))
        leads = False
        if origin == "foreign":
            parts = foreign_parts(ordered)
            body, leads = parts.body, months_lead(ordered, parts)
            start = next(
                (i for i, line in enumerate(parts.after) if ENCLOSURES.match(line.plain) or COPY.match(line.plain)),
                len(parts.after),
            )
            listed = [line for line in parts.after[start:] if not _reaches(line)]
            addressees = {glyph for line in parts.address for glyph in _glyphs(line.text)}
        else:
            zones = split_zones(ordered)
            body, listed = zones.body, list(zones.attachments)
            addressees = set(_glyphs(zones.field("recipient")))
            if origin == "domestic_public":
                addressees |= set(_glyphs(split_tail(zones.tail).recipients))
        text = squeezed(str(cast(Tree, result.get("body") or {}).get("text", "")))
        spots = {pointer: [_spot(entry) for entry in entries] for pointer, entries in _evidence(result).items()}
        return cls(origin, _ids(lines, body), _ids(lines, listed), text, leads, frozenset(addressees), spots)

    def why_closed(self, name: str, line_id: str, line: Line, place: Placed) -> str:
        """Return the code of why a place is closed to a field of head or tail, or nothing when it is open."""
        plain = squeezed(line.plain)
        if line_id in self.body or (len(plain) >= _BODY_LETTERS and plain in self.body_text):
            return IN_BODY
        if _is_told(name, line.plain, place):
            return IN_SENTENCE
        spot = _spot_of(place)
        if line_id in self.listed or self._is_another(spot) or _is_labelled_otherwise(name, line, place):
            return OTHER_FIELD
        if name == "signatory_name" and self.origin == "domestic_public":
            return OUT_OF_PLACE  # an office signs, and its seal; nobody's name stands there
        return OUT_OF_PLACE if self._is_beyond(name, spot) else ""

    def is_addressee(self, place: Placed) -> bool:
        """Tell whether a place is part of what the letter says it is addressed to."""
        glyphs = _glyphs(place)
        return bool(glyphs) and self._addressees.issuperset(glyphs)

    def is_anothers(self, own: str, place: Placed) -> bool:
        """Tell whether the rules read another field than `own`, or the title, from a place."""
        spot = _spot_of(place)
        roots = (*(name for name in _OTHERS if name != own), "title")
        return any(touch(spot, other) for name in roots for other in self.below(name))

    def is_beyond(self, place: Placed) -> bool:
        """Tell whether a place is behind the end of a public letter, whose last lines are known."""
        return self.origin == "domestic_public" and self._is_beyond("", _spot_of(place))

    def _is_another(self, spot: Spot) -> bool:
        return any(touch(spot, other) for name in _OTHERS for other in self.below(name))

    def _is_beyond(self, name: str, spot: Spot) -> bool:
        """Tell whether a value stands behind the letter's end, or a title beside its place in the head."""
        page, y = spot[0], (spot[2] + spot[4]) / 2
        if name == "title":
            first = min(((other[0], other[2]) for other in self.below("body")), default=None)
            if first is not None and (page, y) > first:
                return True
            above = min(((other[0], other[2]) for other in self.below("recipients")), default=None)
            # Where many are addressed they stand below the body, and say nothing of the title's place.
            if self.origin != "foreign" and above is not None and (first is None or above < first):
                return (page, y) < above
        ends = _PUBLIC_ENDS if self.origin == "domestic_public" else ("sender/signatory_",)
        end = max(((other[0], other[4]) for root in ends for other in self.below(root)), default=None)
        return end is not None and (page, y) > end

    def below(self, root: str) -> list[Spot]:
        """Return where the rules read what is below a field."""
        return [spot for pointer, spots in self._spots.items() if pointer.startswith(f"/{root}") for spot in spots]


def touch(one: Spot, other: Spot) -> bool:
    """Tell whether two places share some of the page."""
    if one[0] != other[0]:
        return False
    return min(one[3], other[3]) > max(one[1], other[1]) and min(one[4], other[4]) > max(one[2], other[2])


def spots_of(entries: Sequence[Mapping[str, Any]]) -> list[Spot]:
    """Return the places that evidence names."""
    return [_spot(entry) for entry in entries]


def _is_told(name: str, plain: str, place: Placed) -> bool:
    beside = len(squeezed(plain)) - len(squeezed(place.plain))
    if beside > _LABEL_LETTERS and (name in ("title", "organisation") or _SENTENCE.search(plain)):
        return True
    before, behind = _beside(plain, place)
    return bool(_TOLD_BEFORE.search(before) or _TOLD_BEHIND.match(behind))


def _beside(plain: str, place: Placed) -> tuple[str, str]:
    """Return what stands before and behind a place in its run of words, up to the next wide gap."""
    wanted = [letter for letter in place.plain if not letter.isspace()]
    at = [i for i, letter in enumerate(plain) if not letter.isspace()]
    letters = "".join(plain[i] for i in at)
    # A title goes on in further lines: what this line has of it is enough to know where it begins.
    for length in range(len(wanted), 0, -1):
        start = letters.find("".join(wanted[:length]))
        if start >= 0:
            first, last = at[start], at[start + length - 1]
            return plain[:first].split("  ")[-1], plain[last + 1 :].split("  ")[0]
    return "", ""


def _is_labelled_otherwise(name: str, line: Line, place: Placed) -> bool:
    """Tell whether a label, or 접수, says that a place is another field's."""
    start = _start_in(line, place)
    if _RECEIVED.search(line.plain[:start]):
        return True
    others = [field for field in labelled([line]) if field.value and field.name not in _LABELS_OF.get(name, set())]
    return any(set(_glyphs(field.value)) & set(_glyphs(place)) for field in others)


def _start_in(line: Line, place: Placed) -> int:
    first = next(iter(_glyphs(place)), None)
    return next((i for i, glyph in enumerate(line.text.glyphs) if glyph is not None and glyph == first), 0)


def _glyphs(text: Placed) -> list[object]:
    return [glyph for glyph in text.glyphs if glyph]


def _reaches(line: Line) -> bool:
    return re.search(r"@|www\.|\bTel\b|\+\d", line.plain) is not None


def _ids(lines: Mapping[str, Line], part: Sequence[Line]) -> frozenset[str]:
    within = {id(line) for line in part}
    return frozenset(name for name, line in lines.items() if id(line) in within)


def _evidence(result: Mapping[str, Any]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    return cast(Mapping[str, Sequence[Mapping[str, Any]]], result.get("evidence") or {})


def _spot(entry: Mapping[str, Any]) -> Spot:
    x0, y0, x1, y1 = entry.get("bbox") or (0.0, 0.0, 0.0, 0.0)
    return int(entry.get("page", 0)), x0, y0, x1, y1


def _spot_of(place: Placed) -> Spot:
    return _spot(place.evidence()[0])
