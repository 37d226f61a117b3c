from dataclasses import replace

import pytest

from processors.llm.gongmun.attachments import attachments_start, read_attachments
from processors.llm.gongmun.placed import Placed
from processors.llm.gongmun.recipients import read_parties, refers_to_list, see_list
from processors.llm.gongmun.related import find_related
from tests.unit.gongmun.pages import lines_of, placed, read_by_engine, values


@pytest.mark.parametrize(
    ("text", "parties"),
    [
        ("갈숲시장(환경관리과장)", [{"name": "갈숲시장", "attention": "환경관리과장"}]),
        (
            "갑시장, 을군수(총무과), 병구청장",
            [{"name": "갑시장"}, {"name": "을군수", "attention": "총무과"}, {"name": "병구청장"}],
        ),
        ("주식회사 해뜰 귀중", [{"name": "주식회사 해뜰"}]),
        ("해뜰건설(주) 대표이사 귀하", [{"name": "해뜰건설(주)"}]),
        ("산들도지사 귀하", [{"name": "산들도지사"}]),
        ("내부결재", [{"name": "내부결재"}]),
        ("소담시장농업기술과장)", [{"name": "소담시장", "attention": "농업기술과장"}]),
        ("해양누리정장", [{"name": "해양누리청장"}]),
        ("노을교육지원정교육장", [{"name": "노을교육지원청교육장"}]),
        ("주)해뜰식품 귀중", [{"name": "(주)해뜰식품"}]),
        ("쥐해뜰식품 귀중", [{"name": "㈜해뜰식품"}]),
        ("주식품연구소 귀하", [{"name": "주식품연구소"}]),
        ("a갈숲시장", [{"name": "갈숲시장"}]),
        ("Al: 갈숲시장", [{"name": "갈숲시장"}]),
        ("<A: 갈숲시장", [{"name": "갈숲시장"}]),
        ("(환경관리과장), 갈숲시장", [{"name": "갈숲시장"}]),
        ("=: 갈숲시장", [{"name": "갈숲시장"}]),
        ("갈숲시장, 조 : 안전총괄과장", [{"name": "갈숲시장"}]),
        ("신: 갈숲시장", [{"name": "갈숲시장"}]),
        ("식회사 가온정보기술", [{"name": "가온정보기술"}]),
        ("갈숲시장, ssd", [{"name": "갈숲시장"}]),
        ("LG", [{"name": "LG"}]),
        ("나루건설협회장", [{"name": "나루건설협회장"}]),
        ("대한건축사협회장(총무부장)", [{"name": "대한건축사협회장", "attention": "총무부장"}]),
        ("바른상인조합회장 귀하", [{"name": "바른상인조합회장"}]),
        ("가람산업협동조합장, 물빛문화재단이사장", [{"name": "가람산업협동조합장"}, {"name": "물빛문화재단이사장"}]),
        ("한빛상공회의소회장", [{"name": "한빛상공회의소회장"}]),
        ("입주자대표회의 회장", [{"name": "입주자대표회의 회장"}]),
        ("나루건설협회 회장 귀하", [{"name": "나루건설협회"}]),
        ("물빛문화재단 이사장", [{"name": "물빛문화재단"}]),
        ("바른상인 조합장", [{"name": "바른상인 조합장"}]),
        ("해뜰건설(주)대표 홍길동 귀하", [{"name": "해뜰건설(주)"}]),
        ("해뜰기업대표이사", [{"name": "해뜰기업"}]),
        ("물빛광역시 귀중", [{"name": "물빛광역시"}]),
        ("", []),
    ],
)
def test_addressees(text: str, parties: list[dict[str, str]]) -> None:
    assert values(read_parties(placed(text))) == parties


@pytest.mark.parametrize(
    ("text", "read", "names"),
    [
        ("가람청장 나루위원회위원장", True, ["가람청장", "나루위원회위원장"]),
        ("가람 청 장 나 루위원회위 원장", True, ["가람 청 장", "나 루위원회위 원장"]),
        ("가람청장(총무과) 나루군수(기획팀), 다온시장", True, ["가람청장", "나루군수", "다온시장"]),
        ("큰별광역시 아라구청장", True, ["큰별광역시 아라구청장"]),
        ("가람시장 귀하", True, ["가람시장"]),
        ("가람시장 애인회관장", True, ["가람시장 애인회관장"]),
        ("가람청장 나루위원회위원장", False, ["가람청장 나루위원회위원장"]),
        ("4:  (주)명성기공", True, ["(주)명성기공"]),
    ],
)
def test_a_comma_that_an_engine_lost_parts_two_offices(text: str, read: bool, names: list[str]) -> None:
    at = placed(text)
    glyphs = tuple(glyph and replace(glyph, confidence=0.9 if read else 1.0) for glyph in at.glyphs)
    assert [party["name"].value for party in read_parties(Placed(text, glyphs))] == names


@pytest.mark.parametrize(
    ("confidence", "name"),
    [pytest.param(0.93, "㈜오름소프트", id="usual"), pytest.param(0.96, "주오름소프트", id="sure")],
)
def test_a_company_that_is_addressed_has_a_legal_form_in_front(confidence: float, name: str) -> None:
    assert values(read_parties(read_by_engine("주오름소프트 귀중", confidence))) == [{"name": name}]


@pytest.mark.parametrize(("text", "refers"), [("FAIR참조", True), ("수신지 잠조.", True), ("참조은시장", False)])
def test_an_addressee_that_ends_in_the_references_word_may_be_it(text: str, refers: bool) -> None:
    assert refers_to_list(placed(text)) is refers


@pytest.mark.parametrize(("text", "refers"), [("수신자 참조", True), ("수신자참조", True), ("갈숲시장", False)])
def test_a_reference_to_the_list_is_told_from_a_name(text: str, refers: bool) -> None:
    assert see_list(placed(text)) is refers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("붙임  계획서 1부.  끝.", [{"name": "계획서", "count": 1, "unit": "부"}]),
        ("붙임  +. 계획서 1부.  끝.", [{"name": "계획서", "count": 1, "unit": "부"}]),
        ("붙임  제출 서식.hwpx 매.  끝.", [{"name": "제출 서식.hwpx"}]),
        ("붙임  참석자 명단 부.  끝.", [{"name": "참석자 명단"}]),
        ("붙임  안내문(최종) 14.  끝.", [{"name": "안내문(최종)"}]),
        (
            "붙임  1 운영 현황 1식. 2 수료자 명부 1부. 3. 절차서 2부.  끝.",
            [
                {"name": "운영 현황", "count": 1, "unit": "식"},
                {"name": "수료자 명부", "count": 1, "unit": "부"},
                {"number": 3, "name": "절차서", "count": 2, "unit": "부"},
            ],
        ),
        (
            "붙임  1. 사진 각 1매. 2. 사양서 2부. 8. 운행표 1부.  끝.",
            [
                {"number": 1, "name": "사진", "count": 1, "unit": "매", "count_as_written": "각 1매"},
                {"number": 2, "name": "사양서", "count": 2, "unit": "부"},
                {"number": 8, "name": "운행표", "count": 1, "unit": "부"},
            ],
        ),
        ("붙임  상반기 2 단계 계획 1부.  끝.", [{"name": "상반기 2 단계 계획", "count": 1, "unit": "부"}]),
        ("붙임  1. 사양서 3부. OB", [{"number": 1, "name": "사양서", "count": 3, "unit": "부"}]),
        (
            "붙임  1기관별 계획 1부.\n      2. 서식 1부.  끝.",
            [
                {"name": "기관별 계획", "count": 1, "unit": "부"},
                {"number": 2, "name": "서식", "count": 1, "unit": "부"},
            ],
        ),
        (
            "붙임  1차 추진계획 1부.\n      2. 서식 1부.  끝.",
            [
                {"name": "1차 추진계획", "count": 1, "unit": "부"},
                {"number": 2, "name": "서식", "count": 1, "unit": "부"},
            ],
        ),
        (
            "붙임  1. 계획서 1부.\n      2. 서식(제2호) 각 3매.  끝.",
            [
                {"number": 1, "name": "계획서", "count": 1, "unit": "부"},
                {"number": 2, "name": "서식(제2호)", "count": 3, "unit": "매", "count_as_written": "각 3매"},
            ],
        ),
        ("붙임  1: 서식 1부. 끝.", [{"number": 1, "name": "서식", "count": 1, "unit": "부"}]),
        ("붙 임: 서식.hwpx 1식. 끝.", [{"name": "서식.hwpx", "count": 1, "unit": "식"}]),
        ("붙임  계획서 l부. 끝.", [{"name": "계획서", "count": 1, "unit": "부"}]),
        ("붙임  참석자 명단.", [{"name": "참석자 명단"}]),
        (
            "붙임  1. 아주 긴 이름의 사업 추진계획과\n         세부 일정 1부.\n      2.2025년 서식 1부. 끝.",
            [
                {"number": 1, "name": "아주 긴 이름의 사업 추진계획과 세부 일정", "count": 1, "unit": "부"},
                {"number": 2, "name": "2025년 서식", "count": 1, "unit": "부"},
            ],
        ),
    ],
)
def test_attachments(text: str, expected: list[dict[str, object]]) -> None:
    assert values(read_attachments(lines_of(text))) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("붙임  1. 계획서 1부.  2. 서식 1부.  끝.", ["계획서", "서식"]),
        ("붙임  1. 계획서 1부, 2. 서식 1부. 끝.", ["계획서", "서식"]),
        ("붙임 1. 계획서 1부. 2. 서식 2부. 3. 명단 각 1부. 끝.", ["계획서", "서식", "명단"]),
        ("붙임  1.계획서 1부. 2.서식 1부. 끝.", ["계획서", "서식"]),
        ("붙임  1) 계획서 1부. 2) 서식 1부. 끝.", ["계획서", "서식"]),
        ("붙임: 1. 계획서 1부. 2. 2025년 서식 1부. 끝.", ["계획서", "2025년 서식"]),
        ("붙임  1. 계획서   2. 서식  끝.", ["계획서", "서식"]),
        ("붙임  1. 교재.pdf. 2. 협약서(안). 3. 서식 1부. 끝.", ["교재.pdf", "협약서(안)", "서식"]),
        ("붙임  계획서 1부. 2. 서식 1부. 끝.", ["계획서", "서식"]),
        (
            "붙임  1. 계획서 1부.  2. 서식 1부.\n      3. 명단 1부.  4. 위치도 1부.  끝.",
            ["계획서", "서식", "명단", "위치도"],
        ),
        (
            "붙임  1. 아주 긴 이름의 사업 추진계획과\n         세부 일정 1부.  2. 서식 1부.  끝.",
            ["아주 긴 이름의 사업 추진계획과 세부 일정", "서식"],
        ),
        (
            "붙임  1. 계획서 1부.  2. 아주 긴 이름의 사업\n         추진 요령.  3. 서식 1부.  끝.",
            ["계획서", "아주 긴 이름의 사업 추진 요령", "서식"],
        ),
        ("붙임  1. 계획서 1부. 2.\n      서식 1부. 3. 명단 1부. 끝.", ["계획서", "서식", "명단"]),
        ("붙임  1. 추진계획(2025. 2. 3.) 1부.  끝.", ["추진계획(2025. 2. 3.)"]),
        ("붙임  1. 2025. 2. 월간 보고 1부.  끝.", ["2025. 2. 월간 보고"]),
        ("붙임  1. 계획서(1. 개요 2. 세부) 1부. 끝.", ["계획서(1. 개요 2. 세부)"]),
        ("붙임  1. 버전 2. 안내서 1부. 끝.", ["버전 2. 안내서"]),
        ("붙임  제2. 서식 1부. 끝.", ["제2. 서식"]),
        ("붙임  1. 서식 1부. 3. 명단 1부. 끝.", ["서식", "명단"]),
    ],
)
def test_attachments_on_one_line_are_parted_where_the_numbers_go_on(text: str, names: list[str]) -> None:
    assert [attachment["name"].value for attachment in read_attachments(lines_of(text))] == names


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("본문입니다.\n붙임  계획서 1부.", 1),
        ("자료를 수합하오니\n붙임 서식을 작성하여 제출하여 주시기 바랍니다.", None),
        ("본문입니다.\n22  1. 위치도 2식.", 1),
        ("자료를 수합하오니\n불임 MAS 작성하여 5월 21일까지 제출하여 주시기 바랍니다.\n붙임 1. 협약서 1식.", 2),
    ],
)
def test_where_the_attachments_begin(text: str, start: int | None) -> None:
    lines = lines_of(text)

    assert attachments_start(lines, 0, len(lines)) == start


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("관련: 농촌활력과-340(2025. 2. 3.)호", [{"document_number": "농촌활력과-340", "issue_date": "2025-02-03"}]),
        ("AI행정팀-9(2025. 2. 3.)와 관련입니다.", [{"document_number": "AI행정팀-9", "issue_date": "2025-02-03"}]),
        ("문의: 총무과(033-555-0284)", []),
        ("관련: 119구급과-12(2025. 2. 3.)호", [{"document_number": "119구급과-12", "issue_date": "2025-02-03"}]),
        ("관련: 1.총무과-12(2025. 2. 3.)", [{"document_number": "총무과-12", "issue_date": "2025-02-03"}]),
        ("관련: 1인가구지원과-77", [{"document_number": "1인가구지원과-77"}]),
    ],
)
def test_cited_documents(text: str, expected: list[dict[str, str]]) -> None:
    assert values(find_related([placed(text)])) == expected
