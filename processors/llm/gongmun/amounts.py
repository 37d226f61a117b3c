"""Sums of money: digits, currency, and whether the Hangul words beside them say the same."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from processors.llm.gongmun.placed import Placed, Read
from processors.llm.gongmun.won_sums import find_won_sums

_CODES = "EUR|USD|GBP|JPY|CHF|CNY|AUD|CAD|SEK|NOK|DKK|SGD|HKD|NZD|KRW|THB|VND|INR"
_SIGNS = {
    "US$": "USD",
    "A$": "AUD",
    "C$": "CAD",
    "S$": "SGD",
    "HK$": "HKD",
    "NZ$": "NZD",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₩": "KRW",
}
_SIGN = "|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True))
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:\.\d{1,2})?"
_FOREIGN = re.compile(
    rf"(?:(?P<code>\b(?:{_CODES}))\s?|(?P<sign>{_SIGN})\s?)(?P<digits>{_NUMBER})(?!\d)|(?P<digits2>{_NUMBER})\s?(?P<code2>(?:{_CODES})\b|euros?\b)"
)
_LABEL = re.compile(r"(?P<label>[가-힣A-Za-z·\s]{2,24}?)\s*(?:[:은는이가]|[:])?\s*$")


@dataclass(frozen=True, slots=True)
class Amount:
    """One sum: `value` in `currency`; `words_match` only when Hangul words stand beside the digits."""

    value: int | float
    currency: str
    written: Placed
    label: Placed
    words_match: bool | None

    def tree(self) -> dict[str, Read]:
        """Return the amount as the result's fields."""
        tree = {
            "value": Read(self.value, self.written),
            "currency": Read(self.currency, self.written),
            "as_written": Read(self.written.single_spaced().text, self.written),
        }
        if self.label:
            tree["label"] = Read(self.label.single_spaced().text, self.label)
        if self.words_match is not None:
            tree["words_match"] = Read(self.words_match, self.written)
        return tree


def find_amounts(text: Placed) -> Iterator[Amount]:
    """Yield the sums in a text: won amounts with 금 or words, and foreign ones with code or sign."""
    plain = text.plain
    for won in find_won_sums(plain):
        yield Amount(won.value, "KRW", text.cut(won.start, won.end), _label(text, won.start), won.words_match)
    for match in _FOREIGN.finditer(plain):
        digits = (match["digits"] or match["digits2"]).replace(",", "")
        code = match["code"] or match["code2"] or _SIGNS[match["sign"]]
        code = "EUR" if code.lower().startswith("euro") else code
        number = float(digits)
        value = int(number) if code == "KRW" else number
        yield Amount(value, code, text.cut(match.start(), match.end()), text.cut(0, 0), None)


def _label(text: Placed, end: int) -> Placed:
    """Return what stands before a colon or particle in front of the amount."""
    match = re.search(r"([가-힣A-Za-z·\s]{2,24}?)\s*(?::|은|는)\s*$", text.plain[:end])
    return text.cut(match.start(1), match.end(1)) if match else text.cut(0, 0)
