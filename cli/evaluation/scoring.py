"""One result against its truth: which values are right, extra or missed, and where evidence points. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cli.evaluation import normal
from cli.evaluation.fields import FIELDS, Field, Tree
from cli.evaluation.likeness import likeness
from cli.evaluation.origins import Wrong, origin, true_text

RIGHT_OVERLAP = 0.5
"""A box is right when it and the true one share half of the area that they cover together (IoU)."""

Area = tuple[int, Sequence[float]]
"""A page and a box on it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Values that are right, given though they are not there, and missed."""

    right: int = 0
    extra: int = 0
    missed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.right + other.right, self.extra + other.extra, self.missed + other.missed)

    @property
    def known(self) -> bool:
        """Whether there was anything to find or to invent."""
        return bool(self.right or self.extra or self.missed)

    @property
    def f1(self) -> float:
        """F1 of all values together (micro)."""
        return 2 * self.right / max(1, 2 * self.right + self.extra + self.missed)

    @property
    def wrong(self) -> float:
        """Share of the values given that differ from the truth, be it in one letter."""
        return self.extra / max(1, self.right + self.extra)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Right core values whose true place is known, those of them with a place given, and with the right one."""

    values: int = 0
    given: int = 0
    hits: int = 0

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.values + other.values, self.given + other.given, self.hits + other.hits)

    @property
    def rate(self) -> float:
        """Share of the values that point to their place."""
        return self.hits / max(1, self.values)


@dataclass(frozen=True, slots=True)
class LetterScore:
    """What one letter scores; `faults` names each wrong core value, one a line."""

    fields: Mapping[str, Counts]
    evidence: Evidence
    body: float
    wrong: Wrong
    faults: tuple[str, ...]

    @property
    def core(self) -> Counts:
        """The counts of the core fields together."""
        return sum((self.fields[each.name] for each in FIELDS if each.core), Counts())


def score_letter(truth: Tree, boxes: Tree, result: Tree) -> LetterScore:
    """Score a result; an empty one scores as a letter of which nothing was read."""
    counts: dict[str, Counts] = {}
    evidence, wrong = Evidence(), Wrong()
    faults: list[str] = []
    text = true_text(truth)
    for each in FIELDS:
        expected, given = _values(each, truth), _values(each, result)
        pairs, extra, missed = _matched(expected, given)
        counts[each.name] = Counts(len(pairs), len(extra), len(missed))
        if each.core:
            evidence += _evidence(pairs, boxes, result)
            faults += [f"{each.name} missed: {value}" for value in missed]
            for value in extra:
                came_from = origin(value, missed, text)
                wrong += came_from
                faults.append(f"{each.name} extra: {value}{' (not in the letter)' if came_from.nowhere else ''}")
    return LetterScore(counts, evidence, body_likeness(truth, result), wrong, tuple(faults))


def body_likeness(truth: Tree, result: Tree) -> float:
    """Return how alike the bodies are, by the text or the items, whichever is better; 1 when neither has one."""
    expected = normal.text(" ".join(_item_texts(_part(truth, "body").get("items"))))
    body = _part(result, "body")
    given = [normal.text(body.get("text", "")), normal.text(" ".join(_item_texts(body.get("items"))))]
    return max(likeness(expected, text) for text in given)


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the area that two boxes share, as a fraction of the area that they cover together."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


Pointers = tuple[str, ...]


def _values(field: Field, tree: Tree) -> list[tuple[str, Pointers]]:
    values = field.values(tree)
    if not field.as_set:
        return [(value, (pointer,)) for value, pointer in values]
    pointers: dict[str, Pointers] = {}
    for value, pointer in values:
        pointers[value] = (*pointers.get(value, ()), pointer)
    return list(pointers.items())


def _matched(
    expected: Sequence[tuple[str, Pointers]], given: Sequence[tuple[str, Pointers]]
) -> tuple[list[tuple[Pointers, Pointers]], list[str], list[str]]:
    """Return true and given pointers of the values that are right, the extra values, and the missed ones."""
    left = list(given)
    pairs: list[tuple[Pointers, Pointers]] = []
    missed: list[str] = []
    for value, pointers in expected:
        found = next((entry for entry in left if entry[0] == value), None)
        if found is None:
            missed.append(value)
        else:
            left.remove(found)
            pairs.append((pointers, found[1]))
    return pairs, [value for value, _ in left], missed


def _evidence(pairs: Iterable[tuple[Pointers, Pointers]], boxes: Tree, result: Tree) -> Evidence:
    total = Evidence()
    for true_pointers, given_pointers in pairs:
        true = [area for pointer in true_pointers for area in _true_areas(boxes, pointer)]
        if not true:
            continue
        given = [area for pointer in given_pointers for area in _given_areas(result, pointer)]
        hit = any(a[0] == b[0] and overlap(a[1], b[1]) >= RIGHT_OVERLAP for a in given for b in true)
        total += Evidence(1, bool(given), hit)
    return total


def _true_areas(boxes: Tree, pointer: str) -> list[Area]:
    """Return every place where a value stands: each line of each occurrence, and the lines together."""
    areas: list[Area] = []
    for occurrence in boxes.get(pointer) or ():
        parts: list[Area] = [(part["page"], part["bbox"]) for part in occurrence]
        areas += parts
        if len(parts) > 1 and len({page for page, _ in parts}) == 1:
            sides = list(zip(*(box for _, box in parts), strict=True))
            areas.append((parts[0][0], (min(sides[0]), min(sides[1]), max(sides[2]), max(sides[3]))))
    return areas


def _given_areas(result: Tree, pointer: str) -> list[Area]:
    """Return where a result says that a value was read: there, at what it is part of, or at its parts."""
    evidence = _part(result, "evidence")
    parent = pointer.rpartition("/")[0]
    names = [pointer, *([parent] if parent else []), *(name for name in evidence if name.startswith(f"{pointer}/"))]
    for name in names:
        if evidence.get(name):
            return [(e.get("page", 1), e["bbox"]) for e in evidence[name] if len(e.get("bbox") or ()) == 4]
    return []


def _item_texts(items: object) -> Iterable[str]:
    for item in cast("list[Any]", items) if isinstance(items, list) else []:
        yield item.get("marker") or ""
        yield item.get("text") or ""
        for table in item.get("tables") or ():
            for row in (table.get("header") or (), *(table.get("rows") or ())):
                yield from row
        yield from _item_texts(item.get("children"))


def _part(tree: Tree, name: str) -> Tree:
    part = tree.get(name)
    return cast("Tree", part) if isinstance(part, Mapping) else {}
