"""Where a wrong value comes from: the right one misread, another place of the letter, or nowhere. Pure.

The letter's true text is what its truth holds: every text in it and every field's comparable value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cli.evaluation import normal
from cli.evaluation.fields import FIELDS, Tree
from cli.evaluation.likeness import distance, distance_within

SLIPS = 0.25
"""A value is found in a text when at most a quarter of its letters, or one, differ: that much is the OCR's."""

_BETWEEN = "\n"


@dataclass(frozen=True, slots=True)
class Wrong:
    """Wrong core values by where they come from.

    `misread`: like a value of that field that was missed. `misplaced`: else found in the letter's text. `nowhere`:
    found nowhere, slips of the OCR allowed.
    """

    misread: int = 0
    misplaced: int = 0
    nowhere: int = 0

    def __add__(self, other: "Wrong") -> "Wrong":
        return Wrong(self.misread + other.misread, self.misplaced + other.misplaced, self.nowhere + other.nowhere)


def true_text(truth: Tree) -> str:
    """Return everything that a letter says as far as its truth holds it, in comparable form."""
    values = (value for each in FIELDS for value, _ in each.values(truth))
    return _BETWEEN.join([*(normal.text(leaf) for leaf in _leaves(truth)), *values])


def origin(value: str, missed: Sequence[str], text: str) -> Wrong:
    """Tell where a wrong value comes from, given the values of its field that were missed and the letter's text."""
    slips = max(1, int(SLIPS * len(value)))
    if any(distance(value, right) <= slips for right in missed):
        return Wrong(misread=1)
    if distance_within(value, text) <= slips:
        return Wrong(misplaced=1)
    return Wrong(nowhere=1)


def _leaves(node: object) -> Iterable[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for child in cast("Mapping[str, Any]", node).values():
            yield from _leaves(child)
    elif isinstance(node, list):
        for child in cast("list[Any]", node):
            yield from _leaves(child)
