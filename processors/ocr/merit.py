"""How plausible a reading of a word is by itself, whatever the engine's confidence: its signs and its words. Pure."""

import re

from processors.ocr.lexicon import Lexicon

KNOWN = 0.25
"""What a reading gains that consists of known words throughout."""

_ODD_SIGNS = re.compile(r"[\\^|{}<>×÷=*~`´§¢£¥$°¬¦;!?_\[\]ㅣㅡ¥®]")
_ODD = 0.25
"""What one sign takes off that words of letters do not hold."""

_LATIN_WORD = re.compile(r"[a-z]{2,}|[A-Z]?[a-z]+")
_LATIN_BESIDE_HANGUL = re.compile(r"[a-z](?=[가-힣])|(?<=[가-힣])[a-z]|(?<=[가-힣])[A-Z](?=[가-힣])")
_ADDRESS = re.compile(r"@|www|https?|\.[a-z]{2,5}\b", re.IGNORECASE)
_LATIN = 0.3
"""What a Latin word takes off in a Korean letter: the English model makes some of syllables that it half sees."""


def letters_of(text: str) -> str:
    """Return a text's letters and figures alone: what readings share that differ in signs only."""
    return re.sub(r"[^\w]|[_ᆞㆍ]", "", text).casefold()


def merit(text: str, known: Lexicon | None) -> float:
    """Return what speaks for a reading, in units of confidence; `known` only for Korean pages."""
    if known is None or _ADDRESS.search(text):
        return 0.0
    value = KNOWN * known.share(text) * sum("가" <= letter <= "힣" for letter in text) / max(1, len(letters_of(text)))
    value -= _ODD * min(2, len(_ODD_SIGNS.findall(text)))
    if _LATIN_WORD.fullmatch(text) or _LATIN_BESIDE_HANGUL.search(text):
        value -= _LATIN
    return value
