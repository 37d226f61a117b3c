"""Whether letters are those of a language: fonts with a wrong table give valid letters that mean nothing. Pure."""

import re

# The commonest syllables of letters and of prose; in official letters they are 40 to 50 % of all, in prose 47 %.
_COMMON = frozenset(
    "이다는의을에가고하로를지기사한은인시도서정자제일나리어여해부대수원성안장전아라구보적과니관주신공내조행계획및"
)
_HANGUL = re.compile("[가-힣]")
_MANGLED = re.compile("[\u00a1-\u00ff]")
_LATIN = re.compile("[A-Za-z]")
_SMALL = re.compile("[a-z]")
_VOWELS = re.compile("[aeiouy]")

_ENOUGH_HANGUL, _LEAST_COMMON = 80, 0.15
_ENOUGH_SMALL, _LEAST_VOWELS = 200, 0.22
"""Languages in Latin letters have 35 to 48 % vowels; moved in the alphabet they often have less than 20 %."""
_ENOUGH_MANGLED, _MOST_MANGLED = 40, 0.4


def is_language(letters: str) -> bool:
    """Tell whether a page's letters may be words; a page with too few of them to tell passes.

    Hangul whose bytes were taken for Latin letters (`°ø¹®`) is none, and neither are syllables that hardly anybody
    writes, or Latin letters with hardly a vowel.
    """
    hangul = _HANGUL.findall(letters)
    if len(hangul) >= _ENOUGH_HANGUL and sum(c in _COMMON for c in hangul) < _LEAST_COMMON * len(hangul):
        return False
    mangled = len(_MANGLED.findall(letters))
    if mangled >= _ENOUGH_MANGLED and mangled > _MOST_MANGLED * (mangled + len(_LATIN.findall(letters)) + len(hangul)):
        return False
    small = _SMALL.findall(letters)
    return len(small) < _ENOUGH_SMALL or len(_VOWELS.findall(letters)) >= _LEAST_VOWELS * len(small)
