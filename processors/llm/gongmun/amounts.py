"""Sums of money: digits, currency, and whether the Hangul words beside them say the same."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from processors.llm.gongmun.foreign_sums import find_foreign_sums
from processors.llm.gongmun.placed import Placed, Read
from processors.llm.gongmun.won_sums import find_won_sums


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
    for found in find_foreign_sums(plain):
        yield Amount(found.value, found.currency, text.cut(found.start, found.end), text.cut(0, 0), None)


def _label(text: Placed, end: int) -> Placed:
    """Return what stands before a colon or particle in front of the amount."""
    match = re.search(r"([가-힣A-Za-z·\s]{2,24}?)\s*(?::|은|는)\s*$", text.plain[:end])
    return text.cut(match.start(1), match.end(1)) if match else text.cut(0, 0)
