"""The numbering of the body: which marker a line begins with, and how deep it stands."""

import re
from dataclasses import dataclass

SYLLABLES = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허"
_CIRCLED_NUMBERS = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
_CIRCLED_SYLLABLES = "㉮㉯㉰㉱㉲㉳㉴㉵㉶㉷㉸㉹㉺㉻"
_ONE = "lI|!iL"

_OF_A_DATE = (
    r"\s?(?:\([월화수목금토일윌]\)|까지|[.~])"  # 14.(금), 14.까지
    # 3. 14.(금)까지, 3. 14.까지, 3. 14. ~; but 2. 3. 14.까지 is item 2
    r"|\s?(?:[12]?\d|3[01])\s?(?:\.(?!\d)(?!\s?\d{1,2}\s?\.)|[.,]?\s?\([월화수목금토일윌]\)|까지)"
)
"""What shows that a figure with a dot is a month or a day: no item begins so."""
_KINDS = (
    ("1.", re.compile(rf"(?P<n>\d{{1,2}}|[{_ONE}])\s?[.,](?!\d)(?!{_OF_A_DATE})\s*")),
    ("가.", re.compile(rf"(?P<n>[{SYLLABLES}])\s?[.,](?!\d)\s*")),
    ("1)", re.compile(rf"(?P<n>\d{{1,2}}|[{_ONE}])\s?\)\s*")),
    ("가)", re.compile(rf"(?P<n>[{SYLLABLES}])\s?\)\s*")),
    ("(1)", re.compile(rf"[({{]\s?(?P<n>\d{{1,2}}|[{_ONE}])\s?[)}}]\s*")),
    ("(가)", re.compile(rf"[({{]\s?(?P<n>[{SYLLABLES}])\s?[)}}]\s*")),
    ("①", re.compile(rf"(?P<n>[{_CIRCLED_NUMBERS}])\s*")),
    ("㉮", re.compile(rf"(?P<n>[{_CIRCLED_SYLLABLES}])\s*")),
    ("□", re.compile(r"(?P<n>[□■◇◆❑❏])\s*")),
    ("○", re.compile(r"(?P<n>[○●◦❍•◎])\s*")),
    ("-", re.compile(r"(?P<n>[-·▪*※▶])\s+(?!\S{1,6}\s*\S{0,6}\s*-\s*$)")),
)
_NUMBERED = 8


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker at the start of a line: its kind (`1.`, `가.`, …), rank among kinds, place in its sequence, length."""

    kind: str
    rank: int
    order: int
    written: str
    length: int


def read_marker(plain: str) -> Marker | None:
    """Read the marker that a plain line begins with."""
    for rank, (kind, pattern) in enumerate(_KINDS):
        match = pattern.match(plain)
        if not match or match.end() == len(plain.rstrip()):
            continue
        sign = match["n"]
        order = _order(sign)
        written = kind if rank >= _NUMBERED else _written(kind, sign, order)
        return Marker(kind, rank, order, sign if rank >= 6 else written, match.end())
    return None


def _order(sign: str) -> int:
    if sign.isdigit() and sign.isascii():
        return int(sign)
    if sign in _ONE:
        return 1
    for series in (SYLLABLES, _CIRCLED_NUMBERS, _CIRCLED_SYLLABLES):
        if sign in series:
            return series.index(sign) + 1
    return 0


def _written(kind: str, sign: str, order: int) -> str:
    shown = str(order) if sign in _ONE else sign
    return kind.replace("1", shown) if "1" in kind else kind.replace("가", shown)


def continues(marker: Marker, last: dict[str, int]) -> bool:
    """Tell whether a marker is the first of its series or the next after the last seen of its kind.

    A line that begins with `5) ` in mid-sentence thereby stays a continuation line. One marker may have been lost to
    the OCR.
    """
    if marker.rank >= _NUMBERED:
        return True
    before = last.get(marker.kind, 0)
    return marker.order == 1 or before < marker.order <= before + 2
