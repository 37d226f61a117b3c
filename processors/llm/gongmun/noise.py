"""What the OCR sees that is no text: rules read as bars, specks, pieces of a seal or a logo."""

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from processors.llm.gongmun.char_boxes import split_box
from schemas.pages import Box, Page, Word

_CONTENT = re.compile(r"[가-힣A-Za-z0-9㈜]")
_KEPT_SIGNS = re.compile(r"[()\[\]/~:\-–★☆⊙□■○●◦※①-⑳㉮-㉻☎@]")
_DOTS = dict.fromkeys(map(ord, "ᆞㆍ・•‧∙･"), "·")
_CIRCLES = re.compile(r"[0OoㅇᄋΟ○〇◯]{2,}(?=[가-힣]|$)")
_SURE_CIRCLE = re.compile("[ㅇᄋ○〇◯]")
_EDGE = "|｜ㅣ_"
_SPECK = 0.35
_TINY = 0.5
_UNSURE = 0.6
_STACKED, _STACKED_ON_A_LINE = 0.55, 0.8
"""Share of a word that another lies on for the two to be one, read twice."""


def clean_words(page: Page) -> tuple[Word, ...]:
    """Return a page's words without bars at their edges and without specks; a text layer is taken as it is."""
    words = tuple(word for word in page.words if word.text.strip())
    if page.source != "ocr" or not words:
        return words
    sizes = [w.box[3] - w.box[1] for w in words if _CONTENT.search(w.text)]
    usual = median(sizes) if sizes else 0.0
    seals = [mark.box for mark in page.marks if mark.kind == "seal"]
    kept: list[Word] = []
    for word in words:
        trimmed = _trim(word)
        if trimmed is not None and not _is_speck(trimmed, usual) and not _in_seal(trimmed, words, seals):
            kept.append(trimmed)
    return _unstacked(kept)


def _unstacked(words: Sequence[Word]) -> tuple[Word, ...]:
    """Keep the largest of words that lie on one another: engines report large type twice at times."""
    dropped: set[int] = set()
    order = sorted(range(len(words)), key=lambda i: -_area(words[i].box) * (0.5 + words[i].confidence))
    by_top = sorted(range(len(words)), key=lambda i: words[i].box[1])
    rank = {index: position for position, index in enumerate(by_top)}
    for i in order:
        if i in dropped:
            continue
        for j in (*by_top[max(0, rank[i] - 40) : rank[i]], *by_top[rank[i] + 1 : rank[i] + 40]):
            shared = _shared(words[i].box, words[j].box)
            # Neighbours on a line may reach into each other.
            least = _STACKED_ON_A_LINE if _neighbours(words[i], words[j]) else _STACKED
            if j not in dropped and shared > least * _area(words[j].box) and _area(words[j].box) <= _area(words[i].box):
                dropped.add(j)
    return tuple(word for i, word in enumerate(words) if i not in dropped)


def _neighbours(one: Word, other: Word) -> bool:
    """Tell whether two words of a line say different things: what is read twice begins with what went before."""
    first, second = sorted((one, other), key=lambda word: word.box[0])
    repeated = second.text in first.text or first.text[-1] == second.text[0]
    return one.line == other.line and not repeated


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _shared(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def is_noise(text: str) -> bool:
    """Tell whether a text has neither letters nor a sign that letters use."""
    return not _CONTENT.search(text) and not _KEPT_SIGNS.search(text)


def _trim(word: Word) -> Word | None:
    """Cut bars off a word's edges, its box with them."""
    text = _circled(word.text.strip().translate(_DOTS))
    word = replace(word, text=text)
    start, end = 0, len(text)
    while start < end and text[start] in _EDGE:
        start += 1
    while end > start and text[end - 1] in _EDGE:
        end -= 1
    if start == end:
        return None
    if start == 0 and end == len(text):
        return word
    # An underscore has no ink beside the letters: the word's box, tight around its ink, is theirs alone.
    inked = text[:start].replace("_", "") + text[start:end] + text[end:].replace("_", "")
    first = len(text[:start].replace("_", ""))
    boxes = split_box(inked, word.box)[first : first + end - start]
    return replace(word, text=text[start:end], box=(boxes[0][0], word.box[1], boxes[-1][2], word.box[3]))


def _circled(text: str) -> str:
    """`○○사업`, circles in place of a name, comes as figures and as parts of syllables."""
    return _CIRCLES.sub(lambda match: "○" * len(match[0]) if _SURE_CIRCLE.search(match[0]) else match[0], text)


def _is_speck(word: Word, usual: float) -> bool:
    height = word.box[3] - word.box[1]
    if not _CONTENT.search(word.text):
        return height < _SPECK * usual and is_noise(word.text)
    return height < _TINY * usual and word.confidence < _UNSURE


def _in_seal(word: Word, words: Sequence[Word], seals: Sequence[Box]) -> bool:
    """Small letters inside a seal are the seal's own, when larger type stands beneath them."""
    for seal in seals:
        if _covers(seal, word.box) and not any(_continues(other, word, seal) for other in words):
            height = word.box[3] - word.box[1]
            larger = (w for w in words if w.box[3] - w.box[1] > 1.6 * height and _touches(seal, w.box))
            if any(_CONTENT.search(w.text) for w in larger):
                return True
    return False


def _continues(other: Word, word: Word, seal: Box) -> bool:
    """Tell whether a word goes on with a line of its own size that began, or ends, outside the seal."""
    if other.line != word.line or _covers(seal, other.box):
        return False
    height, other_height = word.box[3] - word.box[1], other.box[3] - other.box[1]
    gap = max(other.box[0] - word.box[2], word.box[0] - other.box[2])
    letter = (word.box[2] - word.box[0]) / len(word.text)
    return 0.7 < height / max(other_height, 1e-9) < 1.4 and gap < 2 * letter


def _covers(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _touches(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
