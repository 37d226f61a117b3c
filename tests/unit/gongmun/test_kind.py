"""What is a letter, and of which kind; reports, minutes, forms and blanks are none, though they have labels too."""

import pytest

from processors.llm.gongmun.extract import extract
from tests.unit.gongmun.pages import PUBLIC, document_of
from tests.unit.gongmun.test_extract import PRIVATE

ADDRESSEE = "수    신 :  산들도지사 귀하\n"
REFERENCE = "참    조 :  산업과장\n"

REPORT = """\
            주간 업무 보고

제  목 : 2월 3주차 주간업무 보고
작성일 : 2025. 2. 20.
작성자 : 김하늘

1. 금주 실적
 가. 서버 점검 완료
2. 차주 계획
 가. 장비 교체를 2025. 2. 27.까지 완료 예정
"""
MINUTES = """\
            회  의  록

일 자 : 2025. 2. 20.
제 목 : 2월 정기회의
참석자 : 김하늘, 이바다

1. 안건 논의
"""
QUOTATION = """\
            견 적 서

수    신 : 물빛광역시 귀중
건    명 : 감시 카메라 설치
견적일자 : 2025. 2. 20.

품명        수량      단가         금액
카메라       3        100,000원    300,000원
"""
BLANK = """\
문서번호 :
시행일자 :
수    신 :
참    조 :
제    목 :

1.
2.
"""
BLANK_PUBLIC = """\
                      너 른 군
수신
(경유)
제목

주무관            과장
협조자
시행           (     )      접수         (      )
"""
PRESS = """\
보 도 자 료

제목: 물빛시, 봄꽃축제 개최
배포일자: 2025. 3. 4.
담당: 문화과 김하늘 (051-555-0911)

물빛시는 오는 4. 5.부터 봄꽃축제를 연다.
"""
PROCEDURE = """\
문서번호 : QP-101
제 목 : 부적합품 관리
작성일자 : 2025. 2. 20.

1. 목적: 이 절차는 부적합품을 관리하기 위하여 정한다.
"""
NOTICE = "제목: 승강기 점검 안내\n일자: 2025. 2. 20.\n입주민 여러분께 알려드립니다. 협조하여 주시기 바랍니다.\n"


@pytest.mark.parametrize("source", ["text", "ocr"])
@pytest.mark.parametrize("text", [REPORT, MINUTES, QUOTATION, BLANK, BLANK_PUBLIC, PRESS, PROCEDURE, NOTICE])
def test_what_has_labels_and_is_no_letter(text: str, source: str) -> None:
    result = extract(document_of(text, source=source))

    assert set(result) == {"schema_version", "warnings"}
    assert [warning["code"] for warning in result["warnings"]] == ["not_a_letter"]


@pytest.mark.parametrize("source", ["text", "ocr"])
@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (PRIVATE, "domestic_private"),
        (PRIVATE.replace(ADDRESSEE, ""), "domestic_private"),
        (PRIVATE.replace(ADDRESSEE, "").replace(REFERENCE, ""), "domestic_private"),
        (PRIVATE.replace(ADDRESSEE, "").replace(REFERENCE, "").replace("(인)", "·"), "domestic_private"),
        (PUBLIC, "domestic_public"),
        (PUBLIC.replace("수신    가람시장(도로과장)\n", ""), "domestic_public"),
        (PUBLIC.split("★", maxsplit=1)[0], "domestic_public"),
        ("수신  갈숲시장\n제목  안내\n1. 알려드립니다.\n", "domestic_private"),
        (QUOTATION.replace("건    명", "문서번호 : Q-2025-12\n시행일자 : 2025. 2. 20.\n제    목"), "domestic_private"),
    ],
)
def test_a_letter_of_which_a_label_was_lost_is_still_one(text: str, origin: str, source: str) -> None:
    assert extract(document_of(text, source=source))["origin"] == origin


@pytest.mark.parametrize("line", ["      Al :  산들도지사 귀하\n", "수    <A: 산들도지사 귀하\n", ADDRESSEE])
def test_an_addressee_in_line_with_other_values_is_one_whatever_was_read_as_its_label(line: str) -> None:
    result = extract(document_of(PRIVATE.replace(ADDRESSEE, line), source="ocr"))

    assert [recipient["name"] for recipient in result["recipients"]] == ["산들도지사"]


def test_the_senders_line_is_no_addressee_whose_label_was_lost() -> None:
    lost = PRIVATE.replace(ADDRESSEE, "수 AM    산들도지사 귀하\n").replace(REFERENCE, "발 신     한울소재\n")
    result = extract(document_of(lost, source="ocr"))

    assert all("한울소재" not in recipient["name"] for recipient in result.get("recipients", []))
