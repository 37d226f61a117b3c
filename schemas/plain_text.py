"""What bytes of plain text say: UTF-8, UTF-16 with its mark, or the Korean code page 949 of older programs. Pure."""

import codecs
import unicodedata

_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_KOREAN = "cp949"
_WHITE = "\t\n\r\f\v"
_USUAL = 0.6
"""Least share of Hangul and ASCII in what is no UTF-8, and of the standard's syllables in what code page 949 makes of
it: other bytes decode to something too."""


def decoded(raw: bytes) -> str:
    """Return the text of `raw`, without a byte order mark.

    Raises UnicodeDecodeError when it is in none of the encodings.
    """
    mark = _MARKS.get(raw[:2])
    if mark:
        return raw[2:].decode(mark)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode(_KOREAN)


def looks_like_text(head: bytes) -> bool:
    """Tell whether the first bytes of a file are text; its last character may be cut in the middle."""
    mark = _MARKS.get(head[:2])
    if mark:
        return _is_usual(_cut(head[2 : len(head) - len(head) % 2], mark, 2))
    if b"\x00" in head:
        return False
    if _cut(head, "utf-8", 1) is not None:
        return True
    korean = _cut(head, _KOREAN, 1)
    return _is_usual(korean) and _is_standard(korean or "")


def _cut(head: bytes, encoding: str, step: int) -> str | None:
    for lost in range(0, 4, step):
        try:
            return head[: len(head) - lost].decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _is_usual(text: str | None) -> bool:
    if not text or any(unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs") and c not in _WHITE for c in text):
        return False
    return sum(c.isascii() or "가" <= c <= "힣" for c in text) >= _USUAL * len(text)


def _is_standard(text: str) -> bool:
    """Tell whether the letters of a text that is no ASCII are those that Korean is mostly written with."""
    other = [c for c in text if not c.isascii()]
    return len(other) > 1 and sum("가" <= c <= "힣" and _is_common(c) for c in other) >= _USUAL * len(other)


def _is_common(syllable: str) -> bool:
    try:
        syllable.encode("euc-kr")
    except UnicodeEncodeError:
        return False
    return True
