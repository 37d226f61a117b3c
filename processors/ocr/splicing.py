"""Words of two scripts, put together from readings that each got one of them: `서식.hwpx`, `○○사업`. Pure.

The Korean model reads the Latin end of such a word as figures and signs, the mixed one the Hangul as capitals.
"""

import re
from collections.abc import Sequence

EXTENSIONS = ("hwpx", "hwp", "pdf", "docx", "doc", "xlsx", "xls", "pptx", "ppt", "zip", "jpg", "png", "txt", "csv")
"""The kinds of files that letters enclose."""

_KIND = "|".join(EXTENSIONS)
_LATIN_TAIL = re.compile(rf"^(?P<head>.*?)[.\-,]?(?P<kind>{_KIND})$")
_HANGUL_HEAD = re.compile(r"^(?P<head>.*[가-힣)」』])\s?[.,](?P<rest>\S{2,8})$")
_CIRCLES = re.compile(r"^(?P<head>[가-힣「『(]*)[O○〇0]{2}")
_BLURRED = re.compile(r"^(?P<blur>[^가-힣]{1,5})(?P<rest>[가-힣].*)$")


def splice(texts: Sequence[str]) -> tuple[str, str] | None:
    """Return the word made of two readings and the reading that gave its Hangul; None when they do not fit so."""
    for latin in texts:
        for hangul in texts:
            if latin != hangul and (word := _with_kind(latin, hangul) or _with_circles(latin, hangul)):
                return word, hangul
    return None


def _with_kind(latin: str, hangul: str) -> str | None:
    """Join `제출 서식` and `hwpx`: the mixed reading ends in a kind of file, the Korean one in a dot and anything."""
    end, start = _LATIN_TAIL.match(latin), _HANGUL_HEAD.match(hangul)
    if not end or not start or re.fullmatch(_KIND, start["rest"]) or not re.search(r"[가-힣]{2}", start["head"]):
        return None
    return f"{start['head']}.{end['kind']}"


def _with_circles(latin: str, hangul: str) -> str | None:
    """Put the circles that stand for a name where the mixed reading sees two O and the Korean one signs."""
    seen = _CIRCLES.match(latin)
    if not seen or not hangul.startswith(seen["head"]):
        return None
    blurred = _BLURRED.match(hangul[len(seen["head"]) :])
    return f"{seen['head']}○○{blurred['rest']}" if blurred and not re.search(r"\d", latin[2:3]) else None
