"""Boxes of single characters inside a word's box, by the usual widths of characters."""

from schemas.pages import Box

_NARROW = frozenset("iIl1.,:;'!|()[]{}jt ·‘’`ㆍ")
_WIDE_LATIN = frozenset("mwMW@%")


def advance(character: str) -> float:
    """Return the usual width of a character in em: Hangul full, ASCII about half."""
    code = ord(character)
    if code >= 0x1100 and character not in _NARROW:
        return 0.92
    if character in _NARROW:
        return 0.28
    if character in _WIDE_LATIN:
        return 0.82
    if character.isupper():
        return 0.64
    return 0.53


def split_box(text: str, box: Box) -> list[Box]:
    """Split a word's box into one box per character, by `advance`."""
    widths = [advance(character) for character in text]
    total = sum(widths) or 1.0
    scale = (box[2] - box[0]) / total
    boxes: list[Box] = []
    x = box[0]
    for width in widths:
        boxes.append((x, box[1], x + width * scale, box[3]))
        x += width * scale
    return boxes
