"""From a result to the values that a person checks, each with the places where it was read. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from schemas.pages import Box

# Not values of the document, or said a second time: the body's text is that of its items.
_LEFT_OUT = frozenset({"/schema_version", "/evidence", "/warnings", "/body/text"})
_ITEM_FORM = frozenset({"marker", "level"})
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was read: the page from 1, the box in fractions of it (None: the page alone is known)."""

    page: int
    box: Box | None
    text: str = ""
    confidence: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One value of a result, by its JSON Pointer."""

    pointer: str
    value: str
    places: tuple[Place, ...]

    @property
    def is_inferred(self) -> bool:
        """Whether it was read nowhere: it has no places, or only such as say so."""
        return all(place.source == "inferred" for place in self.places)

    @property
    def confidence(self) -> float | None:
        """The lowest confidence of its places; None when none is known."""
        return min((place.confidence for place in self.places if place.confidence is not None), default=None)

    @property
    def as_read(self) -> str:
        """The text that it was read from."""
        return " ".join(place.text for place in self.places if place.text)


def findings_of(result: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return the values of a result in its order; what carries no evidence takes that of the part it belongs to."""
    evidence = _mapping(result.get("evidence"))
    return tuple(
        Finding(pointer, value, _places_for(pointer, evidence)) for pointer, value in _leaves(result, "", _DEEPEST)
    )


def places_at(result: Mapping[str, Any], pointer: str) -> tuple[Place, ...]:
    """Return the places of the value at a JSON Pointer, or of all values below it; none when it has no evidence."""
    evidence = _mapping(result.get("evidence"))
    found = [name for name in evidence if name == pointer or name.startswith(f"{pointer}/")]
    return tuple(place for name in found for place in _places(evidence[name]))


def _leaves(node: object, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if pointer in _LEFT_OUT or not depth:
        return
    if isinstance(node, dict):
        tree = cast("dict[str, Any]", node)
        is_item = pointer.startswith("/body/items/") and "text" in tree
        for name, value in tree.items():
            if is_item and name in _ITEM_FORM:
                continue
            if is_item and name == "text":
                yield f"{pointer}/text", f"{tree.get('marker', '')} {_shown(value)}".strip()
                continue
            yield from _leaves(value, f"{pointer}/{_token(name)}", depth - 1)
    elif isinstance(node, list):
        for index, value in enumerate(cast("list[Any]", node)):
            yield from _leaves(value, f"{pointer}/{index}", depth - 1)
    elif node is not None and node != "":
        yield pointer, _shown(node)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "예 · yes" if value else "아니오 · no"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _places_for(pointer: str, evidence: Mapping[str, Any]) -> tuple[Place, ...]:
    # Only the direct parent speaks for a value: /disclosure/as_written is where /disclosure is.
    for name in (pointer, pointer.rpartition("/")[0]):
        if name and name in evidence:
            return _places(evidence[name])
    return ()


def _places(entries: object) -> tuple[Place, ...]:
    listed = cast("list[Any]", entries) if isinstance(entries, list) else []
    return tuple(place for entry in listed if (place := _place(_mapping(entry))) is not None)


def _place(entry: Mapping[str, Any]) -> Place | None:
    page = entry.get("page")
    if not isinstance(page, int) or isinstance(page, bool):
        return None
    confidence = entry.get("confidence")
    return Place(
        page=page,
        box=_box(entry.get("bbox")),
        text=str(entry.get("text", "")),
        confidence=float(confidence) if isinstance(confidence, int | float) else None,
        source=str(entry.get("source", "")),
    )


def _box(value: object) -> Box | None:
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 4:
        return None
    numbers = cast("Sequence[object]", value)
    if not all(isinstance(number, int | float) for number in numbers):
        return None
    x0, y0, x1, y1 = (min(1.0, max(0.0, float(cast("float", number)))) for number in numbers)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
