"""Text whose characters know their place on the page, and values read from it.

Everything in this package works on `Placed` text: a pattern is matched on its `plain` view, the match is
cut out, and the cut still knows its boxes. That is what makes evidence exact, also over wrapped lines.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from schemas.pages import Box

_VARIANTS = {
    "-": "‐‑‒–—―−﹣",
    "~": "∼～〜",
    "·": "ㆍ・•‧∙･ᆞ",
    "'": "‘’`´｀",
    ",": "、",
    " ": "\u3000\u00a0",
}
_PLAIN = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {
    ord(variant): plain for plain, variants in _VARIANTS.items() for variant in variants
}


@dataclass(frozen=True, slots=True)
class Glyph:
    """Where one character is: page from 1, a document-wide line number, box, confidence 0 to 1, source."""

    page: int
    line: int
    box: Box
    confidence: float
    source: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A text and, for each of its characters, its glyph (None for the spaces between words)."""

    text: str
    glyphs: tuple[Glyph | None, ...]

    def __bool__(self) -> bool:
        return bool(self.text)

    @property
    def plain(self) -> str:
        """The text with the variants of dashes, dots and full-width forms folded; same length."""
        return self.text.translate(_PLAIN)

    def cut(self, start: int, end: int | None = None) -> "Placed":
        """Return the part from `start` to `end`, without surrounding space."""
        end = len(self.text) if end is None else end
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return Placed(self.text[start:end], self.glyphs[start:end])

    def strip(self, characters: str) -> "Placed":
        """Return the text without `characters` and space at both ends."""
        drop = characters + " \t\n"
        start, end = 0, len(self.text)
        while start < end and self.text[start] in drop:
            start += 1
        while end > start and self.text[end - 1] in drop:
            end -= 1
        return Placed(self.text[start:end], self.glyphs[start:end])

    def squeeze(self) -> "Placed":
        """Return the text without any space."""
        keep = [i for i, character in enumerate(self.text) if not character.isspace()]
        return Placed("".join(self.text[i] for i in keep), tuple(self.glyphs[i] for i in keep))

    def single_spaced(self) -> "Placed":
        """Return the text with every run of spaces made one."""
        keep = [i for i, c in enumerate(self.text) if not (c.isspace() and i and self.text[i - 1].isspace())]
        text = "".join(" " if self.text[i].isspace() else self.text[i] for i in keep)
        return Placed(text, tuple(self.glyphs[i] for i in keep)).cut(0)

    def confidence(self) -> float:
        """Mean confidence of the characters, 0 for text without a place."""
        values = [glyph.confidence for glyph in self.glyphs if glyph]
        return sum(values) / len(values) if values else 0.0

    def weakest(self, among: Collection[str] | None = None) -> float:
        """Least confidence of the characters, or of those in words that are `among`; 1 for text without a place."""
        words = re.finditer(r"\S+", self.text)
        spans = [word.span() for word in words if among is None or word.group() in among]
        glyphs = [glyph for start, end in spans for glyph in self.glyphs[start:end] if glyph]
        return min((glyph.confidence for glyph in glyphs), default=1.0)

    def evidence(self, certainty: float = 1.0) -> list[dict[str, Any]]:
        """Return one entry per line that the text is on, as the result's `evidence` wants it."""
        pairs = [(glyph, character) for glyph, character in zip(self.glyphs, self.text, strict=True) if glyph]
        entries: list[dict[str, Any]] = []
        start = 0
        for (page, _), group in groupby(pairs, key=lambda pair: (pair[0].page, pair[0].line)):
            members = list(group)
            glyphs = [glyph for glyph, _ in members]
            mean = sum(glyph.confidence for glyph in glyphs) / len(glyphs)
            text, start = _covered(self, start, len(members))
            entries.append(
                {
                    "page": page,
                    "bbox": [round(min(1.0, max(0.0, value)), 5) for value in union([g.box for g in glyphs])],
                    "text": text,
                    "confidence": round(max(0.0, min(1.0, mean * certainty)), 3),
                    "source": glyphs[0].source,
                }
            )
        return entries


EMPTY = Placed("", ())


def _covered(placed: Placed, start: int, count: int) -> tuple[str, int]:
    """Return the text of the next `count` placed characters from `start`, and where it ends."""
    end = start
    while end < len(placed.text) and count:
        count -= placed.glyphs[end] is not None
        end += 1
    return placed.text[start:end].strip(), end


def joined(parts: Iterable[Placed], separator: str = " ") -> Placed:
    """Join texts with `separator`, whose characters have no place."""
    kept = [part for part in parts if part]
    glyphs: list[Glyph | None] = []
    for i, part in enumerate(kept):
        if i:
            glyphs += [None] * len(separator)
        glyphs += part.glyphs
    return Placed(separator.join(part.text for part in kept), tuple(glyphs))


def union(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around `boxes`; at least one is needed."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


@dataclass(frozen=True, slots=True)
class Read:
    """A value and the text it was read from; `certainty` (0 to 1) lowers the confidence of repaired readings.

    What is no text, a seal, has `areas` instead. Without either the value was inferred. `confirmed`: another place of
    the letter, read apart, says the same.
    """

    value: str | int | float | bool
    at: Placed = EMPTY
    certainty: float = 1.0
    areas: tuple[tuple[int, Box], ...] = ()
    confirmed: bool = False

    def evidence(self) -> list[dict[str, Any]]:
        """Return where the value was read: the lines of its text, else the areas (page, box) that show it."""
        if self.at:
            return self.at.evidence(self.certainty)
        return [{"page": page, "bbox": [round(value, 5) for value in box], "source": "ocr"} for page, box in self.areas]


def as_written(placed: Placed, certainty: float = 1.0) -> Read:
    """Read a text as it stands, with single spaces."""
    return Read(placed.single_spaced().text, placed, certainty)
