"""What it says of a voted word on a Korean page which readings agree on it, and which cannot be right. Pure.

The two passes with both models make the same slips: where they agree and the Korean model says otherwise, one model
says so. Shares of right words are those of letters of our own.
"""

import re
from collections.abc import Sequence

from processors.ocr.lexicon import Lexicon, one_stroke
from processors.ocr.merit import letters_of
from processors.ocr.splicing import hangul_head

ALONE = 0.5
"""A word of Hangul or capitals on which no two readings agree is no surer than that: a third of them are right."""

ONE_MODEL = 0.6
"""Nor is one that only one of the two models reads so, unless it is of known words: half of them are right."""

UNANIMOUS = 0.85
"""A known word that all readings agree on is at least that sure, whatever the engine thinks of its strokes."""

ALL_AGREE = 0.72
"""So is a word that is not known, if less so: torn off a letter-spaced name, a syllable is given half a confidence."""

TORN = 0.55
"""A syllable that is less sure is the wrong one as often as not, however sure its word is on the whole."""

KOREAN = 1
"""Which reading is the Korean model's; the others are of both."""

_SURE_KOREAN, _SURE = 0.85, 0.9
_HANGUL = re.compile(r"[가-힣]")
_CAPITALS = re.compile(r"^\W?[A-Z][A-Z|!]+\W?$")
_SYLLABLES = re.compile(r"^\W?[가-힣]{2,}\W?$")
_LEAST_HANGUL, _BELOW_CAPITALS = 0.6, 0.1
_FIGURES = re.compile(r"\d")
_NUMBER = 3


def are_syllables(texts: Sequence[str], confidences: Sequence[float]) -> set[int]:
    """Return which readings are capitals that the model of both scripts makes of syllables it half sees.

    They are when another reading is of syllables alone and no less sure: `SHAS` beside `불법점용`.
    """
    syllables = [c for text, c in zip(texts, confidences, strict=True) if _SYLLABLES.match(text)]
    surest = max(syllables, default=0.0)
    return {
        index
        for index, (text, c) in enumerate(zip(texts, confidences, strict=True))
        if _CAPITALS.match(text) and surest >= max(_LEAST_HANGUL, c - _BELOW_CAPITALS)
    }


def is_capitals(text: str) -> bool:
    """Whether a word is of Latin capitals alone."""
    return _CAPITALS.match(text) is not None


def known_instead(winner: str, texts: Sequence[str], confidences: Sequence[float], known: Lexicon) -> str:
    """Return a reading that is sure and of known words where the winner is not of such: the Korean model's, or one that
    is a stroke from the winner; else the winner.
    """
    if len(texts) <= KOREAN or known.share(winner) == 1.0:
        return winner
    korean = texts[KOREAN]
    if confidences[KOREAN] >= _SURE_KOREAN and _SYLLABLES.match(korean) and known.share(korean) == 1.0:
        return korean
    for text, confidence in zip(texts, confidences, strict=True):
        if confidence >= _SURE and known.share(text) == 1.0 and _is_stroke_off(text, winner):
            return text
    return winner


def _is_stroke_off(one: str, other: str) -> bool:
    """Whether two words of Hangul differ in one syllable, and that in one stroke."""
    if len(one) != len(other) or not _SYLLABLES.match(other):
        return False
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    return len(pairs) == 1 and one_stroke(*pairs[0])


def bounds(winner: str, texts: Sequence[str], known: Lexicon) -> tuple[float, float]:
    """Return how sure the winner of several readings is at least and at most."""
    heard = [text for text in texts if text]
    capitals = _CAPITALS.match(winner)
    if len(heard) < 2 or not (_HANGUL.search(winner) or capitals) or len(_FIGURES.findall(winner)) >= _NUMBER:
        return 0.0, 1.0
    is_known = known.share(winner) == 1.0 and not capitals
    same = [_stem(text) == _stem(winner) for text in texts]
    if sum(same) < 2:
        return (0.0, 1.0) if is_known else (0.0, ALONE)
    if same[KOREAN] or not texts[KOREAN]:
        if not all(same) or capitals:
            return 0.0, 1.0
        return (UNANIMOUS if is_known else ALL_AGREE), 1.0
    is_latin = capitals and not _HANGUL.search(texts[KOREAN])
    return 0.0, 1.0 if is_known or is_latin else ONE_MODEL


def is_torn(winner: str, texts: Sequence[str], weakest: Sequence[float], known: Lexicon) -> bool:
    """Whether a word that is not known has a syllable of which no reading of it is sure, given each one's weakest.

    `배수겸프장` is as sure as its other syllables on the whole, though nobody has seen a 겸.
    """
    if len(_HANGUL.findall(winner)) < 2 or known.share(winner) == 1.0:
        return False
    same = (w for text, w in zip(texts, weakest, strict=True) if letters_of(text) == letters_of(winner))
    return max(same, default=1.0) < TORN


def _stem(text: str) -> str:
    """Return what readings are compared by: the letters, of a file's name without its kind, which one model reads."""
    return letters_of(hangul_head(text) or text)
