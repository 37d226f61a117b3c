"""Paddle's lines as words. Pure.

Paddle gives a line's text, its box, and places of pieces of it: from the beginning of a piece's first letter to that
of its last. Hangul comes as one piece with its spaces, so letters in between are placed by their usual widths.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from processors.ocr.engines.base import EngineWord
from processors.ocr.geometry import PixelBox

_NARROW = 0.55
"""Width of a space, a figure, a Latin letter or a sign, where a syllable's is 1."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a line's text; `left` to `right` in pixels."""

    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line as Paddle read it; its box lies in pixels of the picture."""

    text: str
    box: PixelBox
    confidence: float
    pieces: tuple[Piece, ...] = ()


def words_of(line: Line, number: int) -> list[EngineWord]:
    """Return the line's words; a word reaches from the space before it to the space behind it."""
    places = _places(line)
    left, top, right, bottom = line.box
    words: list[EngineWord] = []
    text, begin = "", left
    for letter, place in (*zip(line.text, places, strict=True), (" ", right)):
        if not letter.isspace():
            text += letter
            continue
        if text and place > begin:
            words.append(EngineWord(text, (begin, top, place, bottom), line.confidence, number))
        text, begin = "", max(begin, place)
    return words


def _places(line: Line) -> list[float]:
    """Return where about each letter of the text is, from left to right."""
    pieces: Sequence[Piece] = line.pieces
    if "".join(piece.text for piece in pieces) != line.text:
        # Some letters have no place of their own: the box alone tells.
        pieces = (Piece(line.text, line.box[0], line.box[2]),)
    found: list[float] = []
    for piece in pieces:
        widths = [_width(letter) for letter in piece.text]
        middles = [end - width / 2 for end, width in zip(accumulate(widths), widths, strict=True)]
        whole = sum(widths) or 1.0
        found += [piece.left + (piece.right - piece.left) * middle / whole for middle in middles]
    return [min(max(place, line.box[0]), line.box[2]) for place in accumulate(found, max)]


def _width(letter: str) -> float:
    return 1.0 if ord(letter) >= 0x1100 else _NARROW
