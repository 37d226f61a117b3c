"""Sums in won: figures, with decimals or in parts (`1억 2,000만원`, `15.5억원`), and the words beside them. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from processors.llm.gongmun.hangul_numerals import hangul_number

_FIGURES = r"\d+(?:\s?[,.]\s?\d{3})+(?!\d)|\d+(?:\.\d{1,2})?(?!\d)"
_SCALE = r"\s?(?:[십백천]?[조억만]|[십백천])"
_PARTICLES = r"정|[을이은의에]|으로|과|씩|까지|이상|이하|이내|미만|초과|입니다|임|부터|만큼"
_SUM = re.compile(
    rf"(?:(?<![가-힣])일?금\s*|₩\s*)?(?<!\d)(?<!\d[.,:/])(?P<sum>(?:(?:{_FIGURES}){_SCALE}\s?)*(?:{_FIGURES})(?:{_SCALE})?)"
    rf"(?:원(?!칙|인|장|활|산|본|서|격|거|주|료|자|수|형|호)|\s+원(?=[^가-힣]|$|{_PARTICLES}))(?:\s?정)?"
    r"(?P<words>\s*\(\s*(?:일?금\s*)?(?P<hangul>[가-힣\s]+?)\s*원?\s*(?:정|整)?\s*\))?"
)
_PART = re.compile(rf"(?P<figures>{_FIGURES})(?:\s?(?P<small>[십백천])?\s?(?P<large>[조억만])?)")
_UNITS = {"십": 10, "백": 100, "천": 1000, "만": 10**4, "억": 10**8, "조": 10**12}
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")
_POINTED = re.compile(r"\d{1,3}\.\d{3}")


@dataclass(frozen=True, slots=True)
class Won:
    """A sum at `start` to `end` of a text; `words_match` only when Hangul words stand beside the figures."""

    value: int | float
    start: int
    end: int
    words_match: bool | None


def find_won_sums(plain: str) -> Iterator[Won]:
    """Yield the sums in won; figures whose parts do not make one number are left alone."""
    for match in _SUM.finditer(plain):
        words = hangul_number(re.sub(r"\s+", "", match["hangul"])) if match["hangul"] else None
        value = sum_of(match["sum"])
        figures = re.sub(r"\s", "", match["sum"])
        # Figures with a comma lost are no proper number: then the words decide.
        if words is not None and re.fullmatch(r"[\d,.]+", figures) and not _GROUPED.fullmatch(figures):
            value = words
        if value is None:
            continue
        end = match.end() if match["words"] is None or words is not None else match.start("words")
        yield Won(value, match.start(), end, None if words is None else words == value)


def sum_of(text: str) -> int | float | None:
    """Return the number that figures and scales make; None when a part is not below the scale of the one before."""
    total = section = Decimal(0)
    room = small_room = Decimal(10**16)
    for part in _PART.finditer(text):
        value = _figures(part["figures"], (part["small"] or "") + (part["large"] or ""))
        small, large = Decimal(_UNITS.get(part["small"], 1)), Decimal(_UNITS.get(part["large"], 1))
        if value is None or value * small >= small_room:
            return None
        section, small_room = section + value * small, small
        if part["large"]:
            if section * large >= room:
                return None
            total, section, room, small_room = total + section * large, Decimal(0), large, large
    whole = total + section
    return int(whole) if whole == whole.to_integral_value() else float(whole)


def _figures(text: str, scale: str) -> Decimal | None:
    """Read figures; three behind a point are thousands, before 억 and 조 decimals, and before a lesser scale either."""
    bare = re.sub(r"\s", "", text)
    if scale and _POINTED.fullmatch(bare):
        return Decimal(bare) if scale[-1] in "억조" else None
    return Decimal(bare if re.fullmatch(r"\d+\.\d{1,2}", bare) else re.sub(r"[,.]", "", bare))
