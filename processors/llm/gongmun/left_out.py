"""What the rules read and left out as unsure, and when a model's reading of it is better evidenced. Pure."""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from processors.llm.gongmun.model_find import Found, changed, squeezed
from processors.llm.gongmun.placed import Glyph
from processors.llm.gongmun.unsure import LEAST_FOR_A_NAME, LEAST_FOR_A_NUMBER

_READ_AS = "; read as: "


def left_out(warnings: Sequence[Mapping[str, Any]], pointer: str) -> list[str]:
    """Return what was read for a field, or the fields below it, and left out as unsure."""
    return [_read(warning) for warning in warnings if _concerns(warning, pointer)]


def without_answered(warnings: Sequence[Mapping[str, Any]], pointer: str, found: Found) -> list[Mapping[str, Any]]:
    """Return the warnings without that of the reading which a model's value takes the place of: the most like it."""
    likest = max(
        (warning for warning in warnings if _concerns(warning, pointer)),
        key=lambda warning: SequenceMatcher(None, squeezed(_read(warning)), squeezed(found.value)).ratio(),
        default=None,
    )
    return [warning for warning in warnings if warning is not likest]


def _concerns(warning: Mapping[str, Any], pointer: str) -> bool:
    own = str(warning.get("pointer", ""))
    return warning.get("code") == "unsure" and (own == pointer or own.startswith(f"{pointer}/"))


def _read(warning: Mapping[str, Any]) -> str:
    return str(warning.get("message", "")).partition(_READ_AS)[2]


def is_better(found: Found, reads: Sequence[str]) -> bool:
    """Tell whether a model's value may stand where the rules have none; `reads` is what they left out.

    A copy of that is not: the model sees the same letters. Nor is a figure that the engine was not sure of, for nothing
    else proves figures, nor a word that it was not sure of and that the model left as it was.
    """
    if squeezed(found.value) in map(squeezed, reads):
        return False
    text = found.at.squeeze()
    doubtful = [glyph for glyph in text.glyphs if glyph and glyph.source == "ocr"]
    if not doubtful:
        return True
    if any(_is_unsure_figure(glyph, letter) for glyph, letter in zip(text.glyphs, text.text, strict=True)):
        return False
    corrected = changed(found)
    start = 0
    for word in re.findall(r"\S+", found.at.text):
        glyphs = [glyph for glyph in text.glyphs[start : start + len(word)] if glyph]
        sure = min((glyph.confidence for glyph in glyphs), default=1.0) >= LEAST_FOR_A_NAME
        if not sure and not corrected & set(range(start, start + len(word))):
            return False
        start += len(word)
    return True


def _is_unsure_figure(glyph: Glyph | None, letter: str) -> bool:
    return glyph is not None and letter.isdigit() and glyph.confidence < LEAST_FOR_A_NUMBER
