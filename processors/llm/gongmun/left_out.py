"""What the rules read and left out as unsure, and when a model's reading of it is better evidenced. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from processors.llm.gongmun.model_find import Found, changed, squeezed
from processors.llm.gongmun.placed import Glyph
from processors.llm.gongmun.unsure import LEAST_FOR_A_NAME, LEAST_FOR_A_NUMBER

_READ_AS = "; read as: "


def left_out(warnings: Sequence[Mapping[str, Any]], pointer: str) -> str | None:
    """Return what was read for a field and left out as unsure, None when nothing was."""
    for warning in warnings:
        if warning.get("code") == "unsure" and warning.get("pointer") == pointer:
            return str(warning.get("message", "")).partition(_READ_AS)[2]
    return None


def is_better(found: Found, read: str | None) -> bool:
    """Tell whether a model's value may stand where the rules have none; `read` is what they left out.

    A copy of it is not: the model sees the same letters. Nor is a figure that the engine was not sure of, for nothing
    else proves figures, nor a word that it was not sure of and that the model left as it was.
    """
    if read is not None and squeezed(read) == squeezed(found.value):
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
