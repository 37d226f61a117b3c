"""Sums of money: digits, currency, and whether the Hangul words beside them say the same."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from processors.llm.gongmun.foreign_sums import find_foreign_sums
from processors.llm.gongmun.hangul_numerals import hangul_number
from processors.llm.gongmun.placed import Placed, Read

_KRW = re.compile(
    r"(?P<label>금\s*|일금\s*|₩\s*)?(?P<digits>\d+(?:\s?[,.]\s?\d{3})+|\d+)\s*(?P<scale>천만|백만|십만|억|만|천)?\s*원(?!칙|인|장|활|산|본|서|격|거)(?P<words>\s*\(\s*(?:일?금\s*)?(?P<hangul>[가-힣\s]+?)\s*원?\s*(?:정|整)?\s*\))?"
)
_SCALES = {"천": 10**3, "만": 10**4, "십만": 10**5, "백만": 10**6, "천만": 10**7, "억": 10**8}
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
    for match in _KRW.finditer(plain):
        value = int(re.sub(r"\D", "", match["digits"])) * _SCALES.get(match["scale"] or "", 1)
        words = hangul_number(re.sub(r"\s+", "", match["hangul"])) if match["hangul"] else None
        end = (
            match.end()
            if match["words"] and words is not None
            else match.end()
            if match["words"] is None
            else match.start("words")
        )
        # Figures with a comma lost are no proper number: then the words decide.
        broken = not re.fullmatch(r"\d{1,3}(?:,\d{3})*|\d+", re.sub(r"\s", "", match["digits"]))
        if broken and words is not None:
            value = words
        yield Amount(
            value=value,
            currency="KRW",
            written=text.cut(match.start(), end),
            label=_label(text, match.start()),
            words_match=None if words is None else words == value,
        )
    for found in find_foreign_sums(plain):
        yield Amount(found.value, found.currency, text.cut(found.start, found.end), text.cut(0, 0), None)


def _label(text: Placed, end: int) -> Placed:
    """Return what stands before a colon or particle in front of the amount."""
    match = re.search(r"([가-힣A-Za-z·\s]{2,24}?)\s*(?::|은|는)\s*$", text.plain[:end])
    return text.cut(match.start(1), match.end(1)) if match else text.cut(0, 0)
