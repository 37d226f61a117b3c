"""Cuts a long text into parts that fit at sensible borders: pages, paragraphs, lines, sentences, words. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator

Cost = Callable[[str], int]
"""What a text costs of the limit. The cost of two texts put together is at most the sum of theirs."""

# A border is the end of a match. "1. ", "가. " and "A. " at the beginning of a line are marks of a list, no sentences.
_PAGE = re.compile(r"\f")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_LINE = re.compile(r"\n")
_SENTENCE = re.compile(r"(?<!^..)(?<=[^\s\d][.!?…。！？])[\"'”’)\]]*\s+|(?<=[。！？])", re.MULTILINE)
_CLAUSE = re.compile(r"[,;:、，；]\s+")
_WORD = re.compile(r"\s+")
_BORDERS = (_PAGE, _PARAGRAPH, _LINE, _SENTENCE, _CLAUSE, _WORD)

_EVENLY = 1.15


def split(text: str, limit: int, cost: Cost = len) -> list[str]:
    """Return the parts of a text, in order: put together they are the text, and none costs more than `limit`.

    Parts are about equally large. Raises ValueError when a single character costs more than the limit.
    """
    whole = cost(text)
    if whole <= limit:
        return [text] if text else []
    pieces = list(_pieces(text, limit, cost, 0))
    parts = list(_packed(pieces, limit, cost))
    evenly = list(_packed(pieces, min(limit, int(whole / len(parts) * _EVENLY)), cost))
    return evenly if len(evenly) <= len(parts) else parts


def _pieces(text: str, limit: int, cost: Cost, level: int) -> Iterator[str]:
    """Yield pieces that fit, as coarse as they can be."""
    if cost(text) <= limit:
        yield text
    elif level < len(_BORDERS):
        for piece in _cut(text, _BORDERS[level]):
            yield from _pieces(piece, limit, cost, level + 1)
    else:
        yield from _by_characters(text, limit, cost)


def _cut(text: str, border: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for found in border.finditer(text):
        if start < found.end() < len(text):
            yield text[start : found.end()]
            start = found.end()
    yield text[start:]


def _by_characters(text: str, limit: int, cost: Cost) -> Iterator[str]:
    """Halve until it fits: a word without a border in it."""
    if cost(text) <= limit:
        yield text
        return
    if len(text) < 2:
        raise ValueError(f"a single character costs {cost(text)}, the limit is {limit}")
    middle = len(text) // 2
    yield from _by_characters(text[:middle], limit, cost)
    yield from _by_characters(text[middle:], limit, cost)


def _packed(pieces: Iterable[str], limit: int, cost: Cost) -> Iterator[str]:
    """Put neighbours together as long as they fit."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        own = cost(piece)
        if held and size + own > limit:
            yield "".join(held)
            held, size = [], 0
        held.append(piece)
        size += own
    if held:
        yield "".join(held)
