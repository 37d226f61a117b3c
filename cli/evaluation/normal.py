"""When two values are the same, whatever a letter writes them like. Pure."""

import re
import unicodedata

_QUOTES = re.compile(r"[「」『』｢｣“”‘’\"'`´]")
_DASHES = re.compile(r"[‐‑‒–—―−~∼～]")
_DOTS = re.compile(r"[·ㆍᆞ・•‧∙]")
_SPACE = re.compile(r"\s+")
_LEGAL_FORM = re.compile(
    r"주식회사|유한회사|재단법인|사단법인|\((?:주|재|사)\)|,?(?:co\.?,?ltd|inc|ltd|llc|llp)\.?$", re.IGNORECASE
)
_HONORIFIC = re.compile(r"(?:귀하|귀중|님)$")
_HEAD = re.compile(r"대표이사$")
_YEAR_FIRST = re.compile(r"(\d{4})\s*[-./년]\s*(\d{1,2})\s*[-./월]\s*(\d{1,2})")


def text(value: object) -> str:
    """Fold width, case, space, quotes, dashes, dots and what ends a sentence."""
    folded = unicodedata.normalize("NFKC", str(value))
    folded = _DOTS.sub("·", _DASHES.sub("-", _QUOTES.sub("", folded)))
    return _SPACE.sub("", folded).strip(".,:;").casefold()


def organisation(value: object) -> str:
    """As text, without the legal form."""
    return _LEGAL_FORM.sub("", text(value)).strip(".,")


def addressee(value: object) -> str:
    """As an organisation, without honorific and `대표이사`."""
    return organisation(_HEAD.sub("", _HONORIFIC.sub("", text(value))))


def date(value: object) -> str:
    """Return an ISO date of anything with year, month and day in that order; else the text."""
    found = _YEAR_FIRST.search(unicodedata.normalize("NFKC", str(value)))
    if found is None:
        return text(value)
    year, month, day = (int(part) for part in found.groups())
    return f"{year:04d}-{month:02d}-{day:02d}"


def moment(value: object) -> str:
    """Return a date or date and time to the minute."""
    return str(value)[:16].replace(" ", "T")


def phone(value: object) -> str:
    """Return the digits as dialled at home: `+82 51` is `051`."""
    written = unicodedata.normalize("NFKC", str(value)).strip().replace("(0)", "")
    digits = re.sub(r"\D", "", written)
    return re.sub(r"^820?", "0", digits) if written.startswith("+82") else digits
