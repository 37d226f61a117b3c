"""Sums with an ISO code or a currency sign, however the figures are grouped: `EUR 1.250,00`, `US$1.5 million`. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_CODES = "EUR|USD|GBP|JPY|CHF|CNY|AUD|CAD|SEK|NOK|DKK|SGD|HKD|NZD|KRW|THB|VND|INR"
_SIGNS = dict(
    zip(
        ["US$", "A$", "AU$", "C$", "CA$", "S$", "HK$", "NZ$", "$", "€", "£", "¥", "₩"],
        ["USD", "AUD", "AUD", "CAD", "CAD", "SGD", "HKD", "NZD", "USD", "EUR", "GBP", "JPY", "KRW"],
        strict=True,
    )
)
_SIGN = "|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True))
_GAP = "[ \u00a0\u2009\u202f]"
_FIGURES = rf"\d(?:\d|[.,'’]\d|{_GAP}\d{{3}}(?!\d))*"
_SCALE = r"(?:(?:\s|-)?(?P<scale{0}>(?i:trillion|billion|million|thousand|bn|mio|mn|mln))\b|(?P<letter{0}>[mkMK])\b)?"
_SUM = re.compile(
    rf"(?:\b(?P<code>{_CODES})\s?|(?<![A-Za-z])(?P<sign>{_SIGN})\s?)(?P<before>{_FIGURES})"
    + _SCALE.format(1)
    + rf"|(?<![\d.,'’\-/])(?<!\d{_GAP})(?P<after>{_FIGURES})"
    + _SCALE.format(2)
    + rf"\s?(?P<code2>(?:{_CODES})\b|(?i:euros?)\b|€)(?!\s?\d)"
)
_TIMES = (
    dict.fromkeys(("thousand", "k"), 10**3)
    | dict.fromkeys(("million", "mio", "mn", "mln", "m"), 10**6)
    | dict.fromkeys(("billion", "bn"), 10**9)
    | {"trillion": 10**12}
)
_GOES_ON = re.compile(r"\s?[십백천만억조원]|\s[mkMK]\b")
"""Behind the figures: another scale, or the sign of the Korean form, which is read elsewhere."""
_WHOLE = re.compile(r"\d+")
_GROUPED = re.compile(
    r"(?P<whole>\d{1,3}(?:(?P<sign>[., '])\d{3}(?!\d))(?:(?P=sign)\d{3}(?!\d))*)(?:(?P<point>[.,])(?P<rest>\d{1,2}))?"
)
_PLAIN = re.compile(r"(?P<whole>\d+)[.,](?P<rest>\d{1,2})")
_LAKH = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d{1,2})?")
_DECIMAL = re.compile(r"\d+(?:\.\d+|,\d{1,2})?")


@dataclass(frozen=True, slots=True)
class ForeignSum:
    """A sum in a text, from `start` to `end`; won are whole."""

    value: int | float
    currency: str
    start: int
    end: int


def find_foreign_sums(text: str) -> Iterator[ForeignSum]:
    """Yield the sums with a code or sign; figures that could be two numbers, or that go on, are none."""
    for match in _SUM.finditer(text):
        figures = match["before"] or match["after"]
        scale = (match["scale1"] or match["letter1"] or match["scale2"] or match["letter2"] or "").lower()
        number = _number(figures, scaled=bool(scale))
        if number is None or _GOES_ON.match(text, match.end()):
            continue
        number *= _TIMES.get(scale, 1)
        currency = _currency(match)
        if currency == "KRW" and number % 1:
            continue
        yield ForeignSum(int(number) if currency == "KRW" else float(number), currency, *match.span())


def _currency(match: re.Match[str]) -> str:
    if match["sign"]:
        return _SIGNS[match["sign"]]
    code = match["code"] or match["code2"]
    return "EUR" if code == "€" or code.lower().startswith("euro") else code


def _number(figures: str, *, scaled: bool) -> Decimal | None:
    """Read figures: money has two decimals at most, so three behind a single point or comma are thousands.

    Before `million` they may be decimals: `1.250 million` says either, so it says nothing.
    """
    plain = re.sub(_GAP, " ", figures).replace("’", "'")
    if _WHOLE.fullmatch(plain):
        return Decimal(plain)
    grouped = _GROUPED.fullmatch(plain)
    if grouped and grouped["sign"] != grouped["point"]:
        if scaled and grouped["sign"] == "." and plain.count(".") == 1 and not grouped["rest"]:
            return None
        return Decimal(re.sub(r"\D", "", grouped["whole"]) + f".{grouped['rest'] or 0}")
    if (decimal := _PLAIN.fullmatch(plain)) or (scaled and (decimal := _DECIMAL.fullmatch(plain))):
        return Decimal(decimal.group().replace(",", "."))
    return Decimal(plain.replace(",", "")) if _LAKH.fullmatch(plain) else None
