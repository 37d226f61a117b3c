"""The grammar of document numbers, and what the OCR makes of them."""

import re

from processors.llm.gongmun.slips import unit

_SLIPS = str.maketrans({"O": "0", "o": "0", "l": "1", "I": "1", "|": "1", "!": "1", "S": "5", "B": "8", "]": "1"})
FIGURES = r"(?:(?<![\d.])\d{1,4}(?:·\d{1,2})?(?=[가-힣]))?"
"""Units may be called by a figure: 1인가구지원과, 119구급과, 4차산업혁명과, 4·3지원과."""
UNIT_NUMBER = re.compile(
    rf"(?P<unit>{FIGURES}[가-힣A-Z][가-힣A-Za-z0-9·]*?[가-힣])\s*[-~_=.:ㅡ/\\]{{1,3}}\s*(?P<serial>(?:20\d\d-\d{{1,6}})|\d[\dOolI|!]{{0,6}})"
)
_LIKE_LETTERS = ("0", "1", "4")
"""What O, I, l and A come out as."""
_COUNTED = re.compile(r"\d{3,4}[가-힣]|\d인가구|\d차산업|\d·\d")
_LOST_HYPHEN = re.compile(rf"(?P<unit>{FIGURES}[가-힣]+(?:과|팀|실|관|국|단|원|소|처|부|센터))\s*(?P<serial>\d{{1,6}})")
_TAIL = re.compile(r"[가-힣]+(?:과|팀|실|관|국|단|원|소|처|부|센터|담당관|본부|지원청|위원회)$")
_WITHOUT_DASH = 0.55
"""How sure a number without its dash is: half of them have lost a figure with it."""
_SERIAL_END = re.compile(rf"(?P<unit>{FIGURES}[가-힣A-Z][가-힣A-Za-z·\s]*)[-~_=.ㅡ\s]*(?P<serial>[\dOolI|!\]]+)$")


def unit_number(text: str) -> tuple[str, float] | None:
    """Read `처리과명-일련번호` from a text that should hold nothing else.

    Returns the number with its hyphen and how sure it is, or None when the text has no such form.
    """
    squeezed = unit(re.sub(r"\s+", "", text).strip(".,:;-"))
    match = UNIT_NUMBER.fullmatch(squeezed)
    if match:
        serial = match["serial"].translate(_SLIPS)
        exact = squeezed == f"{match['unit']}-{serial}"
        return f"{match['unit']}-{serial}", (1.0 if exact else 0.85) if _TAIL.search(match["unit"]) else 0.8
    match = _SERIAL_END.fullmatch(squeezed)
    if match:
        serial = match["serial"].translate(_SLIPS)
        if serial.isdigit() and len(match["unit"]) >= 2:
            return f"{match['unit'].rstrip('-~_=.')}-{serial}", _WITHOUT_DASH
    return None


def unit_of(number: str) -> str | None:
    """Return the unit that a number like `농촌활력과-512` names."""
    match = UNIT_NUMBER.fullmatch(number)
    return match["unit"] if match else None


def find_unit_number(text: str) -> re.Match[str] | None:
    """Find the first `처리과명-일련번호` in running text, with a lost hyphen only behind a unit's ending."""
    return UNIT_NUMBER.search(text) or _LOST_HYPHEN.search(text)


def may_be_torn(unit: str) -> bool:
    """Tell whether the figure that a unit begins with may be what an engine made of letters: 1행정팀 of AI행정팀."""
    return unit[:1] in _LIKE_LETTERS and not _COUNTED.match(unit)
