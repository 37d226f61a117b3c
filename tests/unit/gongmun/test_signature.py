"""Where the body ends when 끝. was not printed or not read: at a signature, and at no sentence about one."""

import pytest

from processors.llm.gongmun.extract import extract
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.seal import find_omitted, read_seal
from processors.llm.gongmun.signature import signature_start
from schemas.pages import Document, Page
from tests.unit.gongmun.pages import PUBLIC, document_of, enlarged, lines_of, page_of, values

LETTER = """\
                         한빛산업 주식회사

문서번호 : BG-2025-077
시행일자 : 2025. 2. 20.
수    신 : 물빛광역시 귀중
제    목 : 안내

1. 귀 기관의 무궁한 발전을 기원합니다.
2. {said}
3. 변경된 계약 서류를 2025. 3. 14.(금)까지 회신하여 주시기 바랍니다.

{signature}
"""
SIGNATURE = "                 한빛산업 주식회사  대표이사  홍길동 (인)"
SIGNED = {"organisation": "한빛산업 주식회사", "signatory_title": "대표이사", "signatory_name": "홍길동"}


def _letter(said: str = "상호가 변경되었음을 알려드립니다.", signature: str = SIGNATURE) -> str:
    return LETTER.format(said=said, signature=signature)


@pytest.mark.parametrize(
    "said",
    [
        "새로 취임한 대표이사 홍길동을 소개합니다.",
        "새로 취임한 대표이사 홍길동",
        "대표이사 교육 대상자를 추천하여 주시기 바랍니다.",
        "당사의 대표이사가 변경되었음을 알려드립니다.",
        "이번에 새로 취임하여 인사를 드리고자 하는 당사의\n   대표이사 홍길동\n   부사장 김바다를 소개합니다.",
        "위원 명단\n        위원장  김하늘\n        위원    이바다",
        "나루건설협회 회장 김하늘",
        "관인생략 대상 문서의 범위를 알려드립니다.",
        "전자문서로 보내는 문서는\n   관인생략 대상입니다.",
    ],
)
def test_a_sentence_about_a_signature_does_not_end_the_body(said: str) -> None:
    result = extract(document_of(_letter(said)))

    assert [item["marker"] for item in result["body"]["items"]] == ["1.", "2.", "3."]
    assert result["requested_actions"][0]["due_date"] == "2025-03-14"
    assert result["sender"] == SIGNED
    assert result["seal"]["status"] == "none"


@pytest.mark.parametrize(
    ("signature", "name"),
    [
        (SIGNATURE, "홍길동"),
        ("                 한빛산업 주식회사  대표이사  홍 길 동  [인]", "홍길동"),
        ("                 한빛산업 주식회사  대표이사  홍길동 (직인생략)", "홍길동"),
        ("                    한빛산업 주식회사\n                    대표이사  홍길동", "홍길동"),
        ("한빛산업 주식회사 대표이사 홍길동", "홍길동"),
        ("                 한빛산업 주식회사  대표이사  염4:", None),
        ("                 한빛산업 주식회사  대표이사  홍길동 2:", "홍길동"),
    ],
)
def test_a_signature_ends_the_body(signature: str, name: str | None) -> None:
    result = extract(document_of(_letter(signature=signature)))

    assert result["body"]["text"].endswith("주시기 바랍니다.")
    assert result["sender"]["organisation"] == "한빛산업 주식회사"
    assert result["sender"].get("signatory_name") == name


def test_an_association_is_signed_for_by_its_chair() -> None:
    signed = _letter(signature="                        나루건설협회  회장  김하늘")
    sender = extract(document_of(signed.replace("                         한빛산업 주식회사\n", "", 1)))["sender"]

    assert sender == {"organisation": "나루건설협회", "signatory_title": "회장", "signatory_name": "김하늘"}


def test_an_office_apart_ends_the_body_of_a_public_letter() -> None:
    attached = "붙임  1. 점검표 2부.\n      2. 위치도 1부.  끝.\n"
    body = extract(document_of(PUBLIC.replace(attached, "")))["body"]

    assert body["text"].endswith("금113,560원(금일십일만삼천오백육십원)")


def _lines(text: str) -> list[Line]:
    return lines_of(f"1. 안내하여 드립니다.\n{text}\n")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("          나루 주식회사  대표이사  홍길동", True),
        ("나루 주식회사 대표이사 홍길동 (인)", True),
        ("2. 나루 주식회사 대표이사 홍길동 (인)", False),
        ("          대표이사 홍길동을 소개합니다.", False),
        ("          소장 직인을 찍어 보냅니다.", False),
        ("          이사장", False),
        ("대표이사 교육", False),
    ],
)
def test_what_a_signature_is_made_of(text: str, is_one: bool) -> None:
    assert (signature_start(_lines(text), 1, 0) is not None) is is_one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("너른군수   관인생략", "관인생략"),
        ("너른군수 (직인 생략)", "직인 생략"),
        ("관인생략", "관인생략"),
        ("관인생략      너른군수", "관인생략"),
        ("너른군수 관인생략  .|", "관인생략"),
        ("2. 관인생략 대상 문서의 범위를 알려드립니다.", None),
        ("관인생략 대상 문서의 범위를 알려드립니다.", None),
        ("전자문서는 관인생략", None),
        ("서명생략이 가능한 문서", None),
    ],
)
def test_the_words_for_a_seal_that_is_left_out(text: str, words: str | None) -> None:
    found = find_omitted(lines_of(text))

    assert (found and found.text) == words


@pytest.mark.parametrize(
    ("page", "status"),
    [
        (Page(1, 100, 100, "ocr", (), grey=True), None),
        (Page(1, 100, 100, "ocr", ()), "none"),
        (Page(1, 100, 100, "text", (), grey=True), "none"),
    ],
)
def test_a_scan_without_colour_says_nothing_of_a_seal(page: Page, status: str | None) -> None:
    assert values(read_seal(Document((page,)), [])).get("status") == status


def test_the_type_of_a_short_body_is_not_measured_by_the_small_print_below() -> None:
    said = "변경 사항을 알려드리니\n                        업무에 참고하시기 바랍니다."
    small = "\n".join(f"우 2530{n}  솔빛도 해맑은군 둑길 {n}  / http://www.haemalgeun.go.example" for n in range(9))
    page = page_of(_letter(said, f"{SIGNATURE}\n\n{small}"))
    for row in range(13, 23):
        page = enlarged(page, row, 0.7)

    assert [item["marker"] for item in extract(Document((page,)))["body"]["items"]] == ["1.", "2.", "3."]


def test_a_row_of_a_table_that_a_speck_makes_higher_ends_no_body() -> None:
    rows = ("구분       예산액     집행률", "여비       20,276       12%", "운영비     15,840       93%")
    said = "\n".join(["집행률", *(f"{'':30}{row}" for row in rows)])
    page = enlarged(page_of(_letter(said)), 11, 1.5)

    assert [item["marker"] for item in extract(Document((page,)))["body"]["items"]] == ["1.", "2.", "3."]
