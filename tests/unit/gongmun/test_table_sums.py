"""Sums in tables whose heading has their unit, and figures that are no sums."""

import pytest

from processors.llm.gongmun.extract import extract
from processors.llm.gongmun.placed import EMPTY
from processors.llm.gongmun.table_sums import find_table_sums
from processors.llm.gongmun.tables import Table
from tests.unit.gongmun.pages import document_of, placed


def _table(*rows: str) -> Table:
    first, *others = [tuple(placed(cell) if cell else EMPTY for cell in row.split("|")) for row in rows]
    return Table(first, tuple(others))


@pytest.mark.parametrize(
    ("above", "rows", "expected"),
    [
        (
            "",
            ["구분|예산액(천원)|집행액(천원)|집행률", "인건비|48,200|3,100|6%", "여비|950||0%"],
            [
                (48_200_000, "48,200 (천원)", "인건비 예산액"),
                (3_100_000, "3,100 (천원)", "인건비 집행액"),
                (950_000, "950 (천원)", "여비 예산액"),
            ],
        ),
        ("", ["연번|사업명|사업비 (백만원)", "1|둑길 정비|12.5"], [(12_500_000, "12.5 (백만원)", "둑길 정비 사업비")]),
        (
            "예산 현황 (단위: 천원)",
            ["사업명|계|국비|도비|인원|비율", "둑길 정비|900|600|300|4|10"],
            [
                (900_000, "900 (단위: 천원)", "둑길 정비 계"),
                (600_000, "600 (단위: 천원)", "둑길 정비 국비"),
                (300_000, "300 (단위: 천원)", "둑길 정비 도비"),
            ],
        ),
        (
            "지원 내역 (단위 : 백만원, %)",
            ["구분|2025년 예산|수량|집행률", "농로|1,200|3|80"],
            [(1_200_000_000, "1,200 (단위 : 백만원, %)", "농로 2025년 예산")],
        ),
        ("", ["구분|금액(억원)", "다리|15"], [(1_500_000_000, "15 (억원)", "다리 금액")]),
    ],
)
def test_sums_with_the_unit_of_their_heading(above: str, rows: list[str], expected: list[tuple[int, str, str]]) -> None:
    found = [amount.tree() for amount in find_table_sums(_table(*rows), placed(above))]

    assert [tuple(tree[name].value for name in ("value", "as_written", "label")) for tree in found] == expected
    assert {tree["currency"].value for tree in found} == {"KRW"}


@pytest.mark.parametrize(
    ("above", "rows"),
    [
        ("", ["품목|수량|단가(원)|금액(원)", "전력 케이블|120|38,500|4,620,000"]),
        ("", ["구분|예산액", "인건비|48,200"]),
        ("", ["구분|인원(천명)", "주민|48"]),
        ("현황 (단위: 명, 천원)", ["구분|인원|예산", "주민|48|100"]),
        ("현황 (단위: 천원)", ["연번|면적(㎡)|비고|세대수", "1|48|3|20"]),
        ("현황 (단위: 천원)", ["구분|예산(명)", "가|48"]),
        ("", ["구분|예산액(천원)", "인건비|-", "여비|△100", "기타|12.3456", "시설비|약 100", "운영비|1,23"]),
        ("", ["예산액(천원)|구분", "100|가"]),
        ("(단위: 천원)의 표를 작성", ["구분|예산", "가|100"]),
    ],
)
def test_figures_that_are_no_sums(above: str, rows: list[str]) -> None:
    assert list(find_table_sums(_table(*rows), placed(above))) == []


LETTER = """
                                   너른군

수신  갈숲시장
제목  집행 현황 알림
1. 2025년 집행 현황은 다음과 같습니다. 총사업비는 금5,000원입니다.

   구분          예산액(천원)          집행률
   인건비        48,200                6%
   여비          950                   0%

붙임  조사 계획서 1부.  끝.

                                   너른군수

시행  하천관리과-512 (2025. 2. 24.)     접수
우 25300  너른군 너른읍 군청길 2
"""


def test_the_figure_and_its_unit_are_the_evidence() -> None:
    result = extract(document_of(LETTER))

    assert [amount["value"] for amount in result["amounts"]] == [5000, 48_200_000, 950_000]
    first, unit = result["evidence"]["/amounts/1/value"]
    assert (first["text"], unit["text"]) == ("48,200", "(천원)")
    assert first["bbox"][1] > unit["bbox"][1]
    assert [entry["text"] for entry in result["evidence"]["/amounts/1/label"]] == ["인건비", "예산액"]
