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
UNSIGNED = """
문서번호 : BG-2025-077
시행일자 : 2025. 2. 24.
수    신 : 갈숲시장
발    신 : 나루 주식회사
제    목 : 협조 요청
1. 귀사의 무궁한 발전을 기원합니다.
2. 협조하여 주시기 바랍니다.
"""
PRIVATE = UNSIGNED + "                나루 주식회사  대표이사  홍길동 (인)\n"


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


def test_a_tail_on_the_page_behind_a_sealed_signature_belongs_to_the_letter() -> None:
    head, tail = LETTER.replace("너른군수", "너른교육원장 (직인생략)").split("주무관", 1)
    assert _end(head, "★주무관" + tail) is None
    assert _end(head, "★주무관" + tail, PLAN) == 2


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
    "heading",
    [
        "[붙임 1] 시설물 유지관리 계획",
        "[별지 제2호 서식] 참가 신청서",
        "【붙임 3】 노선도",
        "붙임 1: 유지관리 계획",
        "Annex A: Terms of Reference",
        "APPENDIX 2 - SITE PLAN",
        "붙임 1 시설물 유지관리 계획",
        "붙임2. 유지관리 계획",
    ],
)
def test_an_attachment_that_says_what_it_is_and_is_called(heading: str) -> None:
    assert _end(UNSIGNED + "붙임  1. 계획 1부.", f"{heading}\n{PLAN}") == 1


@pytest.mark.parametrize(
    "first",
    [
        *(
            "붙임  1. 조사 계획서 1부.",
            "붙임",
            "3. 붙임 1 참조",
            "Enclosures",
            "Annex A shows the site.",
            "별지에 적습니다",
        ),
        *("붙임 1 시설물 유지관리 계획", "붙임2. 유지관리 계획"),
        *("[붙임 1] 서식에 따라 제출하여 주시기 바랍니다.", "[붙임 2] 위치도 1부.", "붙임 1: 위치도 2부.  끝."),
        *("Annex A: the plan, which we describe below.", "Annex A: Terms of Reference\nAnnex B: Budget"),
    ],
)
def test_a_letter_that_goes_on_is_no_attachment(first: str) -> None:
    assert _end(UNSIGNED, f"{first}\n{PLAN}") is None


@pytest.mark.parametrize("first", ["              견 적 서", "시설물 유지관리 계획", "나루 주식회사 사업자등록증"])
@pytest.mark.parametrize(
    "signature",
    [
        "나루 주식회사  대표이사  홍길동 (인)",
        "대표이사  홍 길 동",
        "사단법인 나루협회 회장 김하늘 (직인생략)",
        "나루상인조합장 (직인)",
        "나루 주식회사  대표이사  염4:",
        "나루재단 사무총장 김하늘",
        "나루건설협회장  김 하 늘 (인)",
        "대표자 홍길동 (인)",
        "나루 주식회사 대표이사 : 홍길동",
        "나루 주식회사\n                대표이사  홍길동 염4:",
    ],
)
def test_what_follows_a_signature_is_attached(signature: str, first: str) -> None:
    assert _end(UNSIGNED + f"                {signature}\n", f"{first}\n{PLAN}") == 1


@pytest.mark.parametrize(
    "first",
    [
        *(
            "붙임  1. 조사 계획서 1부.",
            "담당: 과장 전가을  T. 070-5550-0310",
            "(25501) 산들도 갈숲시 나루터길 3 전화 02-555-0100",
        ),
        *("3. 회신하여 주시기 바랍니다.", "문의: 051-555-7777", "끝."),
    ],
)
def test_the_rest_of_a_signed_letter_belongs_to_it(first: str) -> None:
    assert _end(PRIVATE, f"{first}\n") is None
    assert _end(PRIVATE, f"{first}\n", "견 적 서\n") == 2


@pytest.mark.parametrize(
    "line",
    [
        "2. 새로 취임한 대표이사 홍길동을 소개합니다.",
        "참석자: 대표이사 홍길동",
        "2. 교육 대상: 각 기관의 대표이사 홍길동",
        "2. 나루 주식회사 대표이사 홍길동",
        "3. 위원 명단\n        위원장  김하늘\n        위원    이바다",
        "3. 위원 명단은 다음과 같습니다.\n        위원장  김하늘",
        "        단장  김하늘\n        간사  이바다\n        위원  박산",
    ],
)
def test_a_body_that_names_somebody_is_no_signature(line: str) -> None:
    assert _end(UNSIGNED + line, "당사의 계획은 다음과 같습니다\n") is None


def test_a_name_in_the_middle_of_the_body_is_no_signature() -> None:
    named = UNSIGNED + "나루 주식회사 대표이사 홍길동\n  가. 취임일: 2025. 2. 1.\n3. 많은 관심 바랍니다.\n"
    assert _end(named, "당사의 계획은 다음과 같습니다\n") is None


QUOTATION = """
              견 적 서

합계 금900,000원
담당 김하늘 02-555-9999
1. 2025. 9. 30.(화)까지 제출하여 주시기 바랍니다.  끝.
"""


def test_attachments_of_a_private_letter_without_an_end_mark_give_it_no_values() -> None:
    result = extract(document_of(PRIVATE, QUOTATION))

    assert result["sender"]["signatory_name"] == "홍길동"
    assert not result.keys() & {"amounts", "contacts", "attachments"}
    assert all("due_date" not in action for action in result.get("requested_actions", []))
    assert [warning["code"] for warning in result["warnings"]] == ["attachment_pages"]


ENGLISH = """
                     Northfold Institute of Research

Our ref: NF/25/301                                           7 February 2025

Ms. Hana Jung
Forest Care Agency

Dear Ms. Jung,

Subject: Invitation to the Workshop

Please find the details enclosed.

Yours sincerely,

Dr. Ingrid Halvorsen
Director of Research
"""
TERMS = """
ANNEX A: TERMS OF REFERENCE
1. Background
2. Scope of the work
Tel: +44 555 020 999
"""


@pytest.mark.parametrize("enclosed", ["", "\nEnclosures:\n  1. Terms of reference\n", "\nEncl.: Terms of reference\n"])
def test_an_annex_of_an_english_letter_is_no_list_of_enclosures(enclosed: str) -> None:
    result = extract(document_of(ENGLISH + enclosed, TERMS))

    assert [a["name"] for a in result.get("attachments", [])] == (["Terms of reference"] if enclosed else [])
    assert "contacts" not in result
    assert [warning["code"] for warning in result["warnings"]] == ["attachment_pages"]


@pytest.mark.parametrize("close", ["Yours very truly,", "Respectfully yours,", "Faithfully yours,", "Sincerely,"])
def test_an_english_letter_ends_with_its_close(close: str) -> None:
    assert _end(ENGLISH.replace("Yours sincerely,", close), "Quotation\nSum EUR 400\n") == 1
    assert _end(ENGLISH.replace("Yours sincerely,", "Faithfully made copies,"), "Quotation\nSum EUR 400\n") is None


def test_enclosures_and_copies_on_the_next_page_belong_to_the_letter() -> None:
    assert _end(ENGLISH, "Enclosures:\n  1. Terms of reference\n") is None
    assert _end(ENGLISH, "cc: City of Larkhaven\n") is None
    assert _end(ENGLISH, "Encl.: Terms of reference\n", TERMS) == 2
    assert _end(ENGLISH.split("Yours")[0], "The workshop lasts two days.\n\nYours sincerely,\n\nA. Reeve\n") is None


def test_numbered_enclosures_go_on_over_a_page_and_nothing_else_does() -> None:
    letter = ENGLISH + "\nEnclosures:\n  1. Terms of reference\n"
    result = extract(document_of(letter, "2. Budget\nIntroduction to the budget\n"))

    assert [a["name"] for a in result["attachments"]] == ["Terms of reference", "Budget"]


def test_a_letter_about_numbers_and_phones_goes_on() -> None:
    """A cited number and a phone are no tail."""
    body = "수신  갈숲시장\n제목  안내\n1. 관련: 하천관리과-120(2025. 2. 3.)호 시행\n2. 문의: 전화 051-555-0911"
    assert _end(body, LETTER) is None
