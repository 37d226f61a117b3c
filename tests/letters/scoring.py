"""How right a result is: core fields as sets of values, evidence boxes by overlap, the body by likeness."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

Tree = dict[str, Any]
_LISTS = (
    ("recipients", "name"),
    ("requested_actions", "due_date"),
    ("attachments", "name"),
    ("contacts", "phone"),
    ("contacts", "email"),
)
_SCALARS = ("/sender/organisation", "/title", "/document_number", "/issue_date")
_LEGAL = re.compile(r"주식회사|\(주\)|사단법인|재단법인")


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over letters: right, extra and missed core values; evidence that hits; likeness of bodies."""

    right: int = 0
    extra: int = 0
    missed: int = 0
    hits: int = 0
    placed: int = 0
    body: float = 0.0
    letters: int = 0
    wrong: tuple[str, ...] = ()

    @property
    def f1(self) -> float:
        """Micro F1 of the core values."""
        return 2 * self.right / max(1, 2 * self.right + self.extra + self.missed)

    @property
    def invented(self) -> float:
        """Share of the values given that are wrong."""
        return self.extra / max(1, self.right + self.extra)

    @property
    def evidence(self) -> float:
        """Share of right values whose box overlaps the true one by half or more."""
        return self.hits / max(1, self.placed)

    @property
    def body_likeness(self) -> float:
        """Mean likeness of the bodies' text."""
        return self.body / max(1, self.letters)

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.right + other.right,
            self.extra + other.extra,
            self.missed + other.missed,
            self.hits + other.hits,
            self.placed + other.placed,
            self.body + other.body,
            self.letters + other.letters,
            self.wrong + other.wrong,
        )


def score(name: str, truth: Tree, boxes: Tree, result: Tree) -> Score:
    """Score one result."""
    total = Score(letters=1, body=_body(truth, result))
    for expected, given in _fields(truth, result):
        total += _field(name, expected, given, boxes, result.get("evidence", {}))
    return total


def _fields(truth: Tree, result: Tree) -> Iterable[tuple[dict[str, str], dict[str, str]]]:
    for pointer in _SCALARS:
        yield _scalar(truth, pointer), _scalar(result, pointer)
    yield _disclosure(truth), _disclosure(result)
    for field, key in _LISTS:
        yield _list(truth, field, key), _list(result, field, key)


def _scalar(tree: Tree, pointer: str) -> dict[str, str]:
    node: Any = tree
    for part in pointer.split("/")[1:]:
        node = node.get(part) if isinstance(node, dict) else None
    return {_normal(node): pointer} if node else {}


def _disclosure(tree: Tree) -> dict[str, str]:
    found = tree.get("disclosure")
    return {f"{found['level']}:{','.join(found.get('reasons', []))}": "/disclosure/level"} if found else {}


def _list(tree: Tree, field: str, key: str) -> dict[str, str]:
    entries = enumerate(tree.get(field, []))
    return {_normal(entry[key], key): f"/{field}/{i}/{key}" for i, entry in entries if entry.get(key)}


def _field(name: str, expected: dict[str, str], given: dict[str, str], boxes: Tree, evidence: Tree) -> Score:
    right = expected.keys() & given.keys()
    wrong = tuple(f"{name} {pointer}: {value}" for value, pointer in given.items() if value not in expected)
    lost = tuple(f"{name} lost {pointer}: {value}" for value, pointer in expected.items() if value not in given)
    hits = places = 0
    for value in right:
        true = boxes.get(expected[value]) or boxes.get(expected[value].rsplit("/", 1)[0])
        if true:
            places += 1
            hits += _hit(true, evidence.get(given[value], []))
    return Score(len(right), len(given) - len(right), len(expected) - len(right), hits, places, wrong=wrong + lost)


def _hit(true: Sequence[Sequence[Tree]], read: Sequence[Tree]) -> bool:
    parts = [part for occurrence in true for part in occurrence]
    return any(a["page"] == b["page"] and _overlap(a["bbox"], b["bbox"]) >= 0.5 for a in parts for b in read)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _body(truth: Tree, result: Tree) -> float:
    expected = _normal(" ".join(_texts(truth["body"]["items"])))
    return Levenshtein.normalized_similarity(expected, _normal((result.get("body") or {}).get("text", "")))


def _texts(items: Sequence[Tree]) -> Iterable[str]:
    for item in items:
        yield item.get("marker", "")
        yield item.get("text", "")
        for table in item.get("tables", []):
            for row in (table["header"], *table["rows"]):
                yield from row
        yield from _texts(item.get("children", []))


def _normal(value: object, key: str = "") -> str:
    text = re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(value)))
    if key == "phone":
        return re.sub(r"^82", "0", re.sub(r"\D", "", text))
    return re.sub(r"[「」『』“”‘’\"']", "", _LEGAL.sub("", text)).strip(".,:;").casefold()
