"""What only one reading makes sense of; names and subjects that are right stay as they are."""

import pytest

from processors.llm.gongmun.noise import clean_words
from processors.llm.gongmun.slips import closing, name, office, unit
from schemas.pages import Page, Word


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("보고서 제출 요정", "보고서 제출 요청"),
        ("강사 모집공고 게재 요정 및 관련자료 제출 협조 요정", "강사 모집공고 게재 요청 및 관련자료 제출 협조 요청"),
        ("점검결과 동보", "점검결과 통보"),
        ("과학축전 참가 요정(2차)", "과학축전 참가 요청(2차)"),
        ("[긴급 시설점검 결과 통보", "[긴급] 시설점검 결과 통보"),
        ("[긴급] 시설점검 결과 통보", "[긴급] 시설점검 결과 통보"),
        ("긴급] 시설점검 결과 통보", "[긴급] 시설점검 결과 통보"),
        ("수리에 관한 법률, 개정에 따른 안내", "수리에 관한 법률 개정에 따른 안내"),
        ("여권, 민원 안내", "여권, 민원 안내"),
        ("요정의 숲 체험행사 안내", "요정의 숲 체험행사 안내"),
        ("계약 해지 통고", "계약 해지 통고"),
    ],
)
def test_a_subject_ends_with_what_is_asked_for(read: str, right: str) -> None:
    assert closing(read) == right


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("홍보 흥보 포스터", "홍보 홍보 포스터"),
        ("흥보물 시안", "홍보물 시안"),
        ("신흥보건소 안내", "신흥보건소 안내"),
        ("흥보포스터 시안", "홍보포스터 시안"),
        ("기관별 0 ㅇ사업 지침", "기관별 ○○사업 지침"),
        ("○○사업 지침", "○○사업 지침"),
        ("과학축전 참가 신정 안내", "과학축전 참가 신청 안내"),
        ("신정 연휴 안내", "신정 연휴 안내"),
        ("2025년 스스지구 보상 계획", "2025년 △△지구 보상 계획"),
        ("ㅅ스지구 보상 계획", "△△지구 보상 계획"),
        ("스스로 지키는 안전", "스스로 지키는 안전"),
        ("기관별 신정서 서식", "기관별 신청서 서식"),
        ("개인정보 수집이용 동의서", "개인정보 수집·이용 동의서"),
        ("수집 이용 현황", "수집 이용 현황"),
        ("정비사업 주진 현황", "정비사업 추진 현황"),
        ("2025년 주진계획", "2025년 추진계획"),
        ("주진우 위원 위촉", "주진우 위원 위촉"),
        ("제2사 정비사업", "제2차 정비사업"),
        ("제2사단 훈련", "제2사단 훈련"),
    ],
)
def test_terms_are_written_as_the_law_writes_them(read: str, right: str) -> None:
    assert name(read) == right


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("마루대학교충장", "마루대학교총장"),
        ("생활환경심의위원희", "생활환경심의위원회"),
        ("강마을문화협희", "강마을문화협회"),
        ("해담도지지사", "해담도지사"),
        ("나라의희", "나라의희"),
        ("다온경칠서", "다온경찰서"),
        ("무들경참서", "무들경찰서"),
        ("푸른솔도교육간", "푸른솔도교육감"),
        ("바른상인조합징", "바른상인조합장"),
        ("한국조경기술인현회", "한국조경기술인협회"),
        ("고운빛장학채단이사장", "고운빛장학재단이사장"),
        ("채단사무국", "채단사무국"),
        ("정장동주민센터", "정장동주민센터"),
        ("한결도지사", "한결도지사"),
    ],
)
def test_offices_are_called_so(read: str, right: str) -> None:
    assert office(read) == right


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("안전종괄과-12", "안전총괄과-12"),
        ("안전총괄과-12", "안전총괄과-12"),
        ("정년정책단-3", "청년정책단-3"),
        ("시행정팀-9", "AI행정팀-9"),
        ("정년과-1", "정년과-1"),
    ],
)
def test_units_are_called_so(read: str, right: str) -> None:
    assert unit(read) == right


def _words(*words: tuple[str, float, float]) -> list[str]:
    found = tuple(Word(text, (left, 0.5, right, 0.512), 0.9, 3) for text, left, right in words)
    return [word.text for word in clean_words(Page(1, 1654, 2339, "ocr", found))]


def test_neighbours_whose_boxes_reach_into_each_other_stay() -> None:
    assert _words(("(2026.10.", 0.29, 0.388), ("21.)", 0.372, 0.4)) == ["(2026.10.", "21.)"]


def test_what_was_read_twice_counts_once() -> None:
    assert _words(("고운빛장", 0.29, 0.388), ("빛장", 0.34, 0.388)) == ["고운빛장"]


def test_circles_for_a_name_are_circles() -> None:
    assert _words(("0ㅇ사업", 0.1, 0.2), ("100원", 0.3, 0.4)) == ["○○사업", "100원"]
