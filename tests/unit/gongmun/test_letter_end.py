"""A letter is told from what is attached to it in the same file."""

import pytest

from processors.llm.gongmun.extract import extract
from processors.llm.gongmun.letter_end import letter_end
from processors.llm.gongmun.lines import page_lines
from tests.unit.gongmun.pages import document_of

LETTER = """
                                   너른군

수신  갈숲시장
제목  조사 안내
1. 조사 계획을 붙임과 같이 보내니 2025. 3. 14.(금)까지 제출하여 주시기 바랍니다.
붙임  조사 계획서 1부.  끝.

                                   너른군수

주무관 이보람   과장 박찬미
협조자
시행  하천관리과-512 (2025. 2. 24.)     접수
우 25300  너른군 너른읍 군청길 2
전화번호 (033)555-0200  팩스번호 (033)555-0290  / river@nureun.go.example  / 공개
"""
PLAN = """
조사 계획서
1. 2025. 9. 30.(화)까지 제출
문의: 051-555-7777, other@else.go.example
시행  다른과-77 (2024. 1. 1.)
"""
PRIVATE = """
문서번호 : BG-2025-077
시행일자 : 2025. 2. 24.
수    신 : 갈숲시장
발    신 : 나루 주식회사
제    목 : 협조 요청
1. 귀사의 무궁한 발전을 기원합니다.
2. 협조하여 주시기 바랍니다.
                나루 주식회사  대표이사  홍길동 (인)
"""


def _end(*texts: str) -> int | None:
    return letter_end([line for page in document_of(*texts).pages for line in page_lines(page, page.number * 1000)])


def test_what_follows_the_tail_is_attached() -> None:
    result = extract(document_of(LETTER, PLAN, PLAN))
    assert (result["document_number"], result["issue_date"]) == ("하천관리과-512", "2025-02-24")
    assert [action["due_date"] for action in result["requested_actions"]] == ["2025-03-14"]
    assert [contact.get("phone") for contact in result["contacts"]] == ["(033)555-0200"]
    assert [warning["code"] for warning in result["warnings"]] == ["attachment_pages"]


def test_a_tail_alone_on_the_last_page_belongs_to_the_letter() -> None:
    head, tail = LETTER.split("주무관", 1)
    assert _end(head, "주무관" + tail) is None
    assert _end(head, "주무관" + tail, PLAN) == 2


def test_a_tail_may_run_over_two_pages() -> None:
    before, after = LETTER.split("전화번호", 1)
    assert _end(before, "전화번호" + after) is None


def test_one_page_ends_where_the_document_does() -> None:
    assert _end(LETTER) is None
    assert "warnings" not in extract(document_of(LETTER))


@pytest.mark.parametrize(
    "heading", ["붙임 1", "[붙임 2]", "【별첨】", "[별지 제1호 서식]", "첨부 1", "Annex A", "ENCLOSURE 2"]
)
def test_an_attachment_that_says_what_it_is(heading: str) -> None:
    assert _end(PRIVATE, f"{heading}\n{PLAN}") == 1


@pytest.mark.parametrize(
    "first",
    ["붙임  1. 조사 계획서 1부.", "붙임", "3. 붙임 1 참조", "Enclosures", "Annex A shows the site.", "별지에 적습니다"],
)
def test_a_letter_that_goes_on_is_no_attachment(first: str) -> None:
    assert _end(PRIVATE, f"{first}\n{PLAN}") is None


def test_a_letter_about_numbers_and_phones_goes_on() -> None:
    """A cited number and a phone are no tail."""
    body = "수신  갈숲시장\n제목  안내\n1. 관련: 하천관리과-120(2025. 2. 3.)호 시행\n2. 문의: 전화 051-555-0911"
    assert _end(body, LETTER) is None
