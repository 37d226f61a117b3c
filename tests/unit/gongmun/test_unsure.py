"""What fails its field's grammar, or was read too badly, is left out and said so; the rest stays."""

from dataclasses import replace
from typing import Any

import pytest

from processors.llm.gongmun.placed import Placed, Read
from processors.llm.gongmun.recipients import PLACE_ALONE, read_parties
from processors.llm.gongmun.unsure import is_name, without_unsure
from tests.unit.gongmun.pages import placed


def _read(text: str, confidence: float = 0.93, *, certainty: float = 1.0, source: str = "ocr") -> Read:
    at = placed(text)
    glyphs = tuple(glyph and replace(glyph, confidence=confidence, source=source) for glyph in at.glyphs)
    return Read(text, Placed(text, glyphs), certainty)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "시범사업 추진계획",
            "서식(제2호).hwpx",
            "2025년 ○○사업 정산 지침(제2판)",
            "질문(FAQ)",
            "「공유재산법」 개정안",
        ),
        *(
            "관리비 3.5% 인상 내역",
            "자료 v2.0",
            "개인정보 수집·이용 동의서",
            "[별지 1] 서식",
            "점검표.pdf",
            "예산 내역(2025)",
            "계획(12)",
            "각 부서 명단",
            "별지 1",
            "서식 10",
            "계획 2025",
            "하자 보수 이행 각서",
            "집행률 90% 달성 방안",
        ),
    ],
)
def test_attachments_may_be_called_so(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "보상 계획 각 30H",
        "설명회 PPT 14",
        "06 모음",
        "정책 설명회 227",
        "10&4 모음",
        "자주 묻는 질문(0)",
        "자주 묻는 질문(640)",
        "통제 구간 안내도0",
        "영치 대상 차량 목록%6%",
        "자주 묻는 질문(8&0)",
        "기관별 ㅇ사업 지침",
        "자주 묻는 질문『^0)",
        "교재.00【2",
        "제출 MALhwpx 28",
        "제출 AMAL_hwpx",
        "서식.0",
        "정산 지침(제2판",
        "서식4×2",
    ],
)
def test_no_attachment_is_called_so(name: str) -> None:
    assert not is_name(name)


def test_a_name_that_cannot_be_is_left_out_and_its_number_and_count_stay() -> None:
    bad = {"number": Read(2), "name": _read("교재.00【2"), "count": Read(2)}
    tree = without_unsure({"attachments": [{"name": _read("계획서")}, bad]})

    assert [sorted(entry) for entry in tree["attachments"]] == [["name"], ["count", "number"]]
    assert [(w["code"], w["pointer"]) for w in tree["warnings"]] == [("unsure", "/attachments/1/name")]


def test_an_attachment_of_which_nothing_is_left_goes() -> None:
    assert without_unsure({"attachments": [{"name": _read("교재.00【2")}]})["attachments"] == []


def _two(first: tuple[str, float], second: tuple[str, float]) -> Placed:
    parts = [_read(text, confidence).at for text, confidence in (first, second)]
    return Placed(f"{first[0]} {second[0]}", (*parts[0].glyphs, None, *parts[1].glyphs))


@pytest.mark.parametrize(
    ("tree", "pointer"),
    [
        ({"contacts": [{"phone": _read("065-555-9713"), "fax": _read("055-555-9713")}]}, "/contacts/0/phone"),
        ({"contacts": [{"phone": _read("051-555-9713", 0.55), "fax": _read("055-555-9713")}]}, "/contacts/0/phone"),
        ({"document_number": _read("체납징수팀-72454", 0.85)}, "/document_number"),
        ({"sender": {"organisation": _read("느보 ㄷ")}}, "/sender/organisation"),
        ({"sender": {"organisation": _read("별.청라벌교육지원청")}}, "/sender/organisation"),
        ({"sender": {"organisation": _read("교통영향평가위원회:1위원회")}}, "/sender/organisation"),
        ({"recipients": [{"name": _read("새론특별자치시", certainty=PLACE_ALONE)}]}, "/recipients/0/name"),
        ({"recipients": [{"name": _read("ㅠ을교육장")}]}, "/recipients/0/name"),
        ({"recipients": [{"name": _read("솔빛군수(1수")}]}, "/recipients/0/name"),
        ({"disclosure": {"level": Read("partial", _read("부분공개", 0.5).at)}}, "/disclosure"),
        ({"sender": {"organisation": _read("여을시", certainty=0.5)}}, "/sender/organisation"),
        ({"document_number": _read("Al2026-02045")}, "/document_number"),
        (
            {"contacts": [{"email": _read("team@b.example", certainty=0.4), "phone": _read("1588-0911")}]},
            "/contacts/0/email",
        ),
        ({"recipients": [{"name": _read("다온시장")}, {"name": _read("청장")}]}, "/recipients/1/name"),
    ],
)
def test_what_no_grammar_allows_is_left_out(tree: dict[str, Any], pointer: str) -> None:
    assert [w["pointer"] for w in without_unsure(tree)["warnings"]] == [pointer]


@pytest.mark.parametrize(
    "number",
    ["02-555-9713", "(055)555-9713", "070-5550-1234", "010-5555-1234", "0505-555-1234", "1588-0911", "+82 51 555 0911"],
)
def test_numbers_as_they_are_given_out_are_kept(number: str) -> None:
    assert without_unsure({"contacts": [{"phone": _read(number)}]})["contacts"]


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        pytest.param(_read("빈집 정비계획 안내"), True, id="well read"),
        pytest.param(Read("AWAY 과학축전", _two(("AWAY", 0.4), ("과학축전", 0.9))), False, id="a word torn"),
        pytest.param(Read("2025년 과학축전", _two(("2025년", 0.4), ("과학축전", 0.9))), True, id="a year is a year"),
        pytest.param(Read("참가 신청", _two(("참가", 0.9), ("신정", 0.5))), True, id="grammar put it right"),
        pytest.param(_read("「지역상생 발전을"), False, id="the next line was lost"),
        pytest.param(_read("특별법 시행에 따른"), False, id="the same"),
        *(
            pytest.param(_read(title), False, id=title)
            for title in ("지역 발전에", "조례 개정안 및", "안전사고를", "농업기술센터와")
        ),
        *(
            pytest.param(_read(title), True, id=title)
            for title in (
                *("정기 안전점검 결과", "운영위원회 회의", "정보공개 청구 관련 협의", "도로 점용 관련 법령 질의"),
                *("민원 사항 문의", "하천정비사업 성과", "태양광 설비 설치 효과", "조례안 심의", "주민 동의"),
                *("살기 좋은 마을", "독서의 가을", "담당 부서: 총무과", "한옥 지붕 기와"),
            )
        ),
        pytest.param(_read("AWAY 과학축전", 0.4, source="text_layer"), True, id="a text layer is not doubted"),
    ],
)
def test_a_title_with_a_torn_word_is_left_out(title: Read, kept: bool) -> None:
    tree = without_unsure({"title": title})

    assert ("title" in tree, "warnings" in tree) == (kept, not kept)


@pytest.mark.parametrize(("width", "kept"), [(0.02, True), (0.028, True), (0.032, False)])
def test_a_name_of_which_letters_were_passed_over_is_left_out(width: float, kept: bool) -> None:
    name = _two(("사업", 0.95), ("정산지침", 0.95))
    glyphs = list(name.glyphs)
    for i in range(2):
        glyphs[i] = replace(glyphs[i], box=(i * width / 2, 0.1, (i + 1) * width / 2, 0.12))

    tree = without_unsure({"attachments": [{"name": Read(name.text, Placed(name.text, tuple(glyphs)))}]})

    assert bool(tree["attachments"]) == kept


def test_what_was_read_is_told_for_a_person_to_see() -> None:
    tree = without_unsure({"sender": {"organisation": _read("농어촌브", 0.5), "department": _read("인사과")}})

    assert list(tree["sender"]) == ["department"]
    assert tree["warnings"] == [
        {
            "code": "unsure",
            "pointer": "/sender/organisation",
            "message": "left out: its letters are not sure; read as: 농어촌브",
        }
    ]


def test_unsure_addressees_and_addresses_are_left_out_and_what_is_beside_them_stays() -> None:
    tree = without_unsure(
        {
            "recipients": [{"name": _read("솔빚군수", 0.5), "attention": _read("총무과")}, {"name": _read("다온시장")}],
            "contacts": [{"email": _read("a@b.example", 0.4), "phone": _read("051-555-0911", 0.7)}],
        }
    )

    assert [sorted(entry) for entry in tree["recipients"]] == [["attention"], ["name"]]
    assert [sorted(entry) for entry in tree["contacts"]] == [["phone"]]
    assert [w["pointer"] for w in tree["warnings"]] == ["/recipients/0/name", "/contacts/0/email"]


def test_the_head_of_the_writers_own_body_is_addressed_by_the_office_alone() -> None:
    assert without_unsure({"recipients": [{"name": _read("청장")}]})["recipients"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [("물빛광역시", False), ("물빛광역시 귀중", True), ("물빛특별시 귀 하", True), ("물빛시장", True)],
)
def test_a_place_is_an_addressee_when_it_is_addressed_as_one(written: str, kept: bool) -> None:
    tree = without_unsure({"recipients": read_parties(_read(written).at)})

    assert bool(tree["recipients"]) == kept


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        pytest.param(_read("도로과-512"), True, id="well read"),
        pytest.param(_read("도로과-512", 0.5), False, id="badly read"),
        pytest.param(_read("행정팀-512", certainty=0.4), False, id="torn"),
        pytest.param(_read("oes 제2025-41호"), False, id="syllables as Latin letters"),
        pytest.param(_read("6ᄉ-2025-225"), False, id="half letters"),
        pytest.param(_read("총무 263"), False, id="a lost dash"),
        pytest.param(_read("총무 26-3"), True, id="two figures with their dash"),
        pytest.param(_read("나루 제2025호"), True, id="a number of its own kind"),
        pytest.param(_read("NR-2026-118"), True, id="capitals are a company's own"),
        pytest.param(_read("건설과-45210", 0.91), True, id="a high serial, well read"),
        pytest.param(_read("건설과-45210", 0.8), False, id="a high serial in doubt"),
        pytest.param(_read("건설과-15210", 0.8), True, id="the doubt is about high ones"),
        pytest.param(_read("oes 제2025-41호", 1.0, source="text_layer"), True, id="a text layer is not doubted"),
    ],
)
def test_a_number_that_may_be_another_is_left_out(number: Read, kept: bool) -> None:
    tree = without_unsure({"document_number": number})

    assert ("document_number" in tree, "warnings" in tree) == (kept, not kept)


@pytest.mark.parametrize(
    ("sender", "kept"),
    [
        pytest.param(_read("조달나눔청", 0.5), False, id="read badly"),
        pytest.param(
            replace(_read("나루상사 ㈜"), at=_two(("나루상사", 0.9), ("@)", 0.3))), True, id="only its sign badly"
        ),
        pytest.param(replace(_read("나루상사 ㈜"), at=_two(("나루상사", 0.6), ("@)", 0.9))), False, id="itself badly"),
        pytest.param(replace(_read("조달나눔청", 0.5), confirmed=True), True, id="said in another place, too"),
        pytest.param(replace(_read("조달나ㄴ청", 0.5), confirmed=True), False, id="half a letter is none anywhere"),
    ],
)
def test_a_name_that_another_place_confirms_stays(sender: Read, kept: bool) -> None:
    tree = without_unsure({"sender": {"organisation": sender}})

    assert ("organisation" in tree["sender"]) == kept
