"""Sums in tables whose heading has their unit: `예산액(천원)`, `(단위: 백만원)`. Pure.

A figure alone is no sum: its column must be headed by a word for money, and the unit must be one that multiplies;
where the heading has both won and heads, nothing tells which column is which.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from processors.llm.gongmun.amounts import Amount
from processors.llm.gongmun.placed import EMPTY, Placed, joined
from processors.llm.gongmun.tables import Table

_SCALE = {"천": 10**3, "만": 10**4, "십만": 10**5, "백만": 10**6, "천만": 10**7, "억": 10**8, "십억": 10**9}
_SCALES = "|".join(sorted(_SCALE, key=len, reverse=True))
_IN_CELL = re.compile(rf"[(\[]\s*(?:단\s*위\s*[:;]?\s*)?(?P<scale>{_SCALES})\s?원\s*[)\]]\s*$")
_ABOVE = re.compile(rf"[(\[]\s*단\s*위\s*[:;]?\s*(?P<scale>{_SCALES})\s?원\s*(?:,\s*%\s*)?[)\]]\s*$")
_UNIT = re.compile(
    r"[(\[]\s*(?:단\s*위\s*[:;]?\s*)?(?:[가-힣]*원|명|%|개소?|건|회|호|세대|㎡|km|m|대|톤|일)\s*[)\]]\s*$"
)
_MONEY = re.compile(
    r"액|예산|금|비용|사업비|보조|부담|단가|매출|수입|지출|세입|세출|대금|요금|[국도시군구]비$|비$|집행|편성|배정|교부|"
    r"^(?:합계|총계|소계|계)$|20\d\d"
)
_NO_MONEY = re.compile(
    r"율$|률$|비율|비중|대비|%|연번|번호|순번|수량|인원|명수|건수|개소|면적|일자|날짜|기간|비고|횟수"
)
_FIGURES = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,3})?|\d+(?:\.\d{1,3})?")


def find_table_sums(table: Table, above: Placed = EMPTY) -> Iterator[Amount]:
    """Yield the sums of a table, in won; `above` is the text before it, which may end in their unit.

    What is written is the figure with the unit; both are its place. The label is the row's and the column's name.
    """
    over = _ABOVE.search(above.plain)
    for row in table.rows:
        for column, cell in enumerate(row):
            heading = table.header[column]
            name = re.sub(r"\s", "", _UNIT.sub("", heading.plain))
            own = _IN_CELL.search(heading.plain)
            if column == 0 or not _FIGURES.fullmatch(cell.plain.strip()) or _NO_MONEY.search(name):
                continue
            if own:
                unit, scale = heading.cut(own.start(), own.end()), own["scale"]
            elif over and _MONEY.search(name) and not _UNIT.search(heading.plain):
                unit, scale = above.cut(over.start(), over.end()), over["scale"]
            else:
                continue
            value = Decimal(cell.plain.strip().replace(",", "")) * _SCALE[scale]
            # Parts of a won are a slip, a figure with the point of another.
            if value == value.to_integral_value():
                label = joined([_name_of(row[:column]), heading.cut(0, own.start()) if own else heading])
                yield Amount(int(value), "KRW", joined([cell, unit]), label, None)


def _name_of(cells: Sequence[Placed]) -> Placed:
    """Return what a row is called: its first cell that is no number."""
    return next((cell for cell in cells if cell and not re.fullmatch(r"[\d,.\s%-]+", cell.plain)), EMPTY)
