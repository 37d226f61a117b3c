"""Where on the page a model's value stands: exactly, or nearly, from the line that the model names on. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import EMPTY, Placed, joined

NEAR = 0.8
"""Least likeness of a value and the text on the page; a slip in every fifth letter is the most that is believed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value of the model and where it stands; `exact` when the page has it letter by letter."""

    value: str
    at: Placed
    exact: bool

    def certainty(self) -> float:
        """Return what the reading's confidence is lowered by."""
        return 1.0 if self.exact else NEAR


def placed_in(value: str, lines: Sequence[Line]) -> Placed | None:
    """Return the part of one or more lines, begun on the first, that a value is; None when nothing is near."""
    texts = [line.text for line in lines]
    wanted, first = squeezed(value), len(squeezed(lines[0].plain)) if lines else 0
    for count in range(1, len(texts) + 1):
        text = joined(texts[:count])
        at = folded(text.squeeze().plain).find(wanted)
        if 0 <= at < first:
            return _cut(text, at, at + len(wanted))
    best: tuple[float, Placed] | None = None
    for count in range(1, len(texts) + 1):
        text = joined(texts[:count])
        plain = folded(text.squeeze().plain)
        for length in {max(1, len(wanted) - 1), len(wanted), len(wanted) + 1}:
            for start in range(min(first, max(1, len(plain) - length + 1))):
                part = plain[start : start + length]
                likeness = SequenceMatcher(None, part, wanted, autojunk=False).ratio()
                if likeness >= NEAR and (best is None or likeness > best[0]):
                    best = likeness, _cut(text, start, start + length)
    return best[1] if best else None


def _cut(text: Placed, start: int, end: int) -> Placed:
    """Cut from letter to letter; spaces do not count."""
    letters = [i for i, letter in enumerate(text.text) if not letter.isspace()]
    return text.cut(letters[start], letters[min(end, len(letters)) - 1] + 1) if start < len(letters) else EMPTY


def figures(text: str) -> str:
    """Return the figures of a text."""
    return re.sub(r"\D", "", text)


def folded(text: str) -> str:
    """Fold width and case, letter by letter, so that positions stay."""
    letters = (unicodedata.normalize("NFKC", letter) for letter in text)
    return "".join(new.lower() if len(new) == 1 else old for new, old in zip(letters, text, strict=True))


def squeezed(text: str) -> str:
    """Return a text folded and without white space, as values are compared."""
    return folded("".join(text.split()))


def changed(found: Found) -> set[int]:
    """Return which letters of the place (without spaces) the model has otherwise; of what it adds, the neighbours."""
    text = found.at.squeeze()
    places: set[int] = set()
    matcher = SequenceMatcher(None, folded(text.plain), squeezed(found.value), autojunk=False)
    for kind, start, end, _, _ in matcher.get_opcodes():
        if kind != "equal":
            places |= set(range(start, end)) or set(range(max(0, start - 1), min(len(text.text), start + 1)))
    return places
