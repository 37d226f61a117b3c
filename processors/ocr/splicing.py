"""Words of two scripts, put together from readings that each got one of them: `서식.hwpx`, `○○사업`. Pure.

The Korean model reads the Latin end of such a word as figures and signs, the mixed one the Hangul as capitals.
"""

import re
from collections.abc import Sequence

from schemas.file_kinds import ENCLOSED

_KIND = "|".join(ENCLOSED)
_COUNT = r"(?:\d{0,2}\s?(?:부|매|식|장)\.?)?"
_LATIN_TAIL = re.compile(rf"^(?P<head>.*?)[.\-,_]?(?P<kind>{_KIND})(?P<count>{_COUNT}|\d8\.?)$")
_HANGUL_HEAD = re.compile(
    r"^(?P<head>.*[가-힣)」』])\s?"
    rf"(?:[.,](?P<rest>\S{{1,8}}?)|(?=[\[(【]|\d\S?[\\×])[^\s가-힣]{{2,8}}?){_COUNT}$"
)
"""A count may touch the name; it goes with it."""
_BU = re.compile(r"^(\d)8")
"""`28.` is what the mixed model makes of `2부.`."""
_LATIN_IN_BRACKETS = re.compile(r"^[^가-힣(]*\((?P<latin>[A-Z]{2,6})\)$")
_HANGUL_BEFORE_BRACKET = re.compile(r"^(?P<head>[가-힣]{2,})[『「(\[][^가-힣]{1,5}[)\]』」]?$")
_CIRCLES = re.compile(r"^(?P<head>[가-힣「『(]*)[O○〇0]{2}")
_AI = re.compile(r"^(?:/[1Il|\[]|4ㅅ1|41|A[1Il|])(?P<rest>[가-힣]{3,}.*)$")
_BLURRED = re.compile(r"^(?P<blur>[^가-힣]{1,5})(?P<rest>[가-힣].*)$")


def splice(texts: Sequence[str]) -> tuple[str, str] | None:
    """Return the word made of two readings and the reading that gave its Hangul; None when they do not fit so."""
    for latin in texts:
        for hangul in texts:
            if latin == hangul:
                continue
            word = _with_kind(latin, hangul) or _with_circles(latin, hangul) or _with_brackets(latin, hangul)
            word = word or _with_ai(latin, hangul)
            if word:
                return word, hangul
    return None


def hangul_head(text: str) -> str:
    """Return a file's name without its kind, as the Korean model reads it: `서식` of `서식.1\\[0×`; else nothing."""
    match = _HANGUL_HEAD.match(text)
    return match["head"] if match else ""


def _with_kind(latin: str, hangul: str) -> str | None:
    """Join `제출 서식` and `hwpx`: the mixed reading ends in a kind of file, the Korean one in a dot and anything."""
    end, start = _LATIN_TAIL.match(latin), _HANGUL_HEAD.match(hangul)
    if not end or not start or re.fullmatch(_KIND, start["rest"] or "") or not re.search(r"[가-힣]{2}", start["head"]):
        return None
    count = _BU.sub(r"\1부", end["count"])
    return f"{start['head']}.{end['kind']}{count}"


def _with_brackets(latin: str, hangul: str) -> str | None:
    """Join `질문『^0)` and `SE(FAQ)`: each reading got one half of `질문(FAQ)`."""
    end, start = _LATIN_IN_BRACKETS.match(latin), _HANGUL_BEFORE_BRACKET.match(hangul)
    return f"{start['head']}({end['latin']})" if end and start else None


def _with_ai(latin: str, hangul: str) -> str | None:
    """Join `/1행정팀-7` and `행정팀-7`: two capitals before Hangul are read as figures and signs, or passed over."""
    cut = _AI.match(latin)
    return f"AI{cut['rest']}" if cut and cut["rest"] == hangul else None


def _with_circles(latin: str, hangul: str) -> str | None:
    """Put the circles that stand for a name where the mixed reading sees two O and the Korean one signs."""
    seen = _CIRCLES.match(latin)
    if not seen or not hangul.startswith(seen["head"]):
        return None
    blurred = _BLURRED.match(hangul[len(seen["head"]) :])
    return f"{seen['head']}○○{blurred['rest']}" if blurred and not re.search(r"\d", latin[2:3]) else None
