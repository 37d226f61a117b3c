import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from processors.llm.gongmun.extract import extract
from schemas.pages import Document, Page, Word
from tests.unit.gongmun.pages import PUBLIC, document_of, enlarged, page_of

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[3] / "modules" / "gongmun.schema.json").read_text()))

ENGLISH = """\
                     Northfold Institute of Research
            12 Harbour Lane, Northfold
      Tel: +44 555 020 123   Fax: +44 555 020 124   office@northfold.example

Our ref: NF/25/301                                           7 February 2025
Your ref: KR-12

Ms. Hana Jung
Forest Care Agency
16 Jungang-ro, Garam
Republic of Korea

Dear Ms. Jung,

Invitation to the Regional Workshop

We are pleased to invite your agency to the workshop on coastal data.

Please return the enclosed form no later than 14 March 2025.

Yours sincerely,


Dr. Ingrid Halvorsen
Director of Research

Enclosures:
  1. Draft programme
  2. Registration form (2 copies)

cc: City of Larkhaven
"""

PRIVATE = """\
                          ㈜한울소재

문서번호 :  HU-2025-077
시행일자 :  2025. 5. 12.
수    신 :  산들도지사 귀하
참    조 :  산업과장
제    목 :  설명회 참석 요청

1. 귀 기관의 무궁한 발전을 기원합니다.
2. 설명회에 참석하여 주시기 바랍니다.
  가. 참석 회신: 2025. 5. 23.(금)까지

붙임  위치도 1부.  끝.


                    ㈜한울소재  대표이사  길도담  (직인생략)



(25501) 산들도 갈숲시 나루터길 3
담당: 과장 전가을  T. 070-5550-0310  E. bill@hanul.example
"""


def test_a_public_letter() -> None:
    document = Document((enlarged(page_of(PUBLIC), 0, 1.6),))
    result = extract(document)

    assert result["origin"] == "domestic_public"
    assert result["direction"] == "outgoing"
    assert result["sender"] == {"organisation": "해맑은군", "department": "도로과", "signatory_title": "해맑은군수"}
    assert result["recipients"] == [{"name": "가람시장", "attention": "도로과장"}]
    assert result["title"] == "다리 안전점검 결과 제출 협조 요청"
    assert (result["document_number"], result["issue_date"]) == ("도로과-512", "2025-02-24")
    assert result["requested_actions"][0]["due_date"] == "2025-03-14"
    assert [a["name"] for a in result["attachments"]] == ["점검표", "위치도"]
    assert result["disclosure"]["reasons"] == ["5", "6"]
    assert "via" not in result
    SCHEMA.validate(result)


RARE_FORMS = """\
                                   해 맑 은 군

수신    나루건설협회장(총무부장)
(경유)
제목    2025년 하반기 다리 안전점검 결과

1. 관련: 1인가구지원과-77(2025. 9. 6.)호
2. 2025. 9. 30.까지의 집행 실적을 확인하여, 붙임 서식에 따라 작성하여
   1. 16.(금) 18:00까지 제출하여 주시기 바랍니다.
3. 다리 통행이 2025. 12. 31.까지 제한되오니 회원 안내에 협조하여 주시기 바랍니다.
4. 총사업비: 1억 2,000만원
5. 문의: 119구급과 하나래(☎ 033-555-0284, FAX 033-555-0285)

붙임  1. 점검표 2부.  2. 위치도 1부.  끝.


                                     해맑은군수

★주무관 하나래      팀장 두별      과장 전결 2025. 10. 20. 서찬
협조자  감사팀장 너울
시행  119구급과-45210 (2025. 10. 20.)
접수  주민복지과-775 (2025. 10. 21. 09:30)
우 25300  솔빛도 해맑은군 둑길 2          / http://www.haemalgeun.go.example
TEL/FAX (033)555-0200 / (033)555-0290  / road@haemalgeun.go.example  / 대국민공개
"""


@pytest.mark.parametrize("source", ["text", "ocr"])
def test_a_letter_of_rarer_forms(source: str) -> None:
    result = extract(document_of(RARE_FORMS, source=source))

    assert result["recipients"] == [{"name": "나루건설협회장", "attention": "총무부장"}]
    assert result["title"] == "2025년 하반기 다리 안전점검 결과"
    assert (result["document_number"], result["issue_date"]) == ("119구급과-45210", "2025-10-20")
    assert result["sender"]["department"] == "119구급과"
    assert (result["direction"], result["receipt"]["number"]) == ("incoming", "주민복지과-775")
    assert [item["marker"] for item in result["body"]["items"]] == ["1.", "2.", "3.", "4.", "5."]
    dues = [(action["due_date"], action["due_time"]) for action in result["requested_actions"]]
    assert dues == [("2026-01-16", "18:00")]
    assert [attachment["name"] for attachment in result["attachments"]] == ["점검표", "위치도"]
    assert [amount["value"] for amount in result["amounts"]] == [120_000_000]
    reached = [(contact["phone"], contact["fax"]) for contact in result["contacts"]]
    assert reached == [("(033)555-0200", "(033)555-0290"), ("033-555-0284", "033-555-0285")]
    assert result["contacts"][1]["person"] == "하나래"
    assert result["related_documents"][0]["document_number"] == "1인가구지원과-77"
    assert "warnings" not in result
    SCHEMA.validate(result)


def test_a_signature_whose_name_a_seal_covers_still_names_the_sender() -> None:
    covered = PRIVATE.replace("                          ㈜한울소재\n", "", 1).replace("길도담  (직인생략)", "염4:")
    sender = extract(document_of(covered))["sender"]

    assert sender == {"organisation": "㈜한울소재", "signatory_title": "대표이사"}


def test_a_private_letter() -> None:
    result = extract(document_of(PRIVATE))

    assert result["origin"] == "domestic_private"
    assert result["sender"] == {"organisation": "㈜한울소재", "signatory_title": "대표이사", "signatory_name": "길도담"}
    assert result["recipients"] == [{"name": "산들도지사"}]
    assert result["references"] == [{"name": "산업과장"}]
    assert result["document_number"] == "HU-2025-077"
    assert result["seal"] == {"status": "omitted", "as_written": "직인생략"}
    assert result["contacts"][0]["phone"] == "070-5550-0310"
    assert "disclosure" not in result
    SCHEMA.validate(result)


def test_an_english_letter() -> None:
    result = extract(Document((enlarged(page_of(ENGLISH), 0, 1.5),)))

    assert result["origin"] == "foreign"
    assert result["sender"]["organisation"] == "Northfold Institute of Research"
    assert result["recipients"] == [{"name": "Forest Care Agency", "attention": "Ms. Hana Jung"}]
    assert result["title"] == "Invitation to the Regional Workshop"
    assert (result["document_number"], result["issue_date"]) == ("NF/25/301", "2025-02-07")
    assert [a.get("due_date") for a in result["requested_actions"]] == ["2025-03-14"]
    assert [a["name"] for a in result["attachments"]] == ["Draft programme", "Registration form"]
    assert result["references"] == [{"name": "City of Larkhaven"}]
    SCHEMA.validate(result)


def test_a_reference_in_large_type_is_no_sender() -> None:
    text = ENGLISH.replace("Your ref: KR-12", "Reference: HR-2837")

    result = extract(Document((enlarged(enlarged(page_of(text), 0, 1.5), 5, 1.9),)))

    assert result["sender"]["organisation"] == "Northfold Institute of Research"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no_text"),
        ("된장찌개 끓이는 법\n\n1. 물을 붓는다.\n2. 된장을 푼다.\n3. 두부를 넣는다.", "not_a_letter"),
        ("The quick brown fox jumps over the lazy dog and runs far away into the deep woods.", "not_a_letter"),
        ("@@ ## 123 %%", "not_a_letter"),
    ],
)
def test_what_is_no_letter_gives_a_warning_and_nothing_else(text: str, code: str) -> None:
    result = extract(document_of(text))

    assert set(result) == {"schema_version", "warnings"}
    assert result["warnings"][0]["code"] == code
    SCHEMA.validate(result)


def test_every_value_that_was_read_has_evidence() -> None:
    result = extract(document_of(PUBLIC))

    for pointer in ("/title", "/document_number", "/issue_date", "/recipients/0/name", "/requested_actions/0/due_date"):
        assert result["evidence"][pointer], pointer


@pytest.mark.parametrize(
    ("text", "pointers"), [(PUBLIC, {"/origin", "/language", "/seal/status"}), (ENGLISH, {"/direction"})]
)
def test_what_is_inferred_says_so(text: str, pointers: set[str]) -> None:
    result = extract(document_of(text))
    inferred = {pointer for pointer, entries in result["evidence"].items() if entries[0]["source"] == "inferred"}

    assert pointers <= inferred <= {"/origin", "/language", "/direction", "/seal/status"}
    assert all(result["evidence"][pointer] == [{"page": 1, "source": "inferred"}] for pointer in inferred)
    SCHEMA.validate(result)


@pytest.mark.parametrize("text", [PUBLIC, "된장찌개 끓이는 법"])
def test_a_page_that_could_not_be_read_is_told(text: str) -> None:
    document = replace(document_of(text), warnings=("page 2: no text found",))

    assert {"code": "reading", "message": "page 2: no text found"} in extract(document)["warnings"]


@pytest.mark.parametrize(
    ("own", "direction"), [("해맑은군", "outgoing"), ("가람시", "incoming"), ("먼나라", "outgoing")]
)
def test_the_callers_own_organisation_decides_the_direction(own: str, direction: str) -> None:
    assert extract(Document((enlarged(page_of(PUBLIC), 0, 1.6),)), own)["direction"] == direction


def test_the_receipt_stamp_is_neither_head_nor_issue() -> None:
    words = list(page_of(PUBLIC).words)
    stamp = (("접수번호", "습지과-1790"), ("접수일시", "2025. 3. 1. 14:05"), ("처 리 과", "습지과"))
    for row, (label, value) in enumerate(stamp):
        y = 0.002 + row * 0.022
        words.append(Word(label, (0.7, y, 0.76, y + 0.01), 1.0, 100 + row))
        for i, token in enumerate(value.split()):
            words.append(Word(token, (0.79 + i * 0.045, y, 0.83 + i * 0.045, y + 0.01), 1.0, 100 + row))
    result = extract(Document((replace(page_of(PUBLIC), words=tuple(words)),)))

    assert result["receipt"] == {"number": "습지과-1790", "date": "2025-03-01", "time": "14:05"}
    assert result["direction"] == "incoming"
    assert result["issue_date"] == "2025-02-24"
    shown = {key: result["evidence"][f"/receipt/{key}"][0] for key in ("number", "date", "time")}
    assert {key: entry["text"] for key, entry in shown.items()} == {
        "number": "습지과-1790",
        "date": "2025. 3. 1.",
        "time": "14:05",
    }
    assert all(entry["bbox"][0] >= 0.7 and entry["bbox"][3] < 0.1 for entry in shown.values())


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "수신",
                    "제목",
                    "시행",
                    "1.",
                    "가.",
                    "붙임",
                    "끝.",
                    "2025.",
                    "3.",
                    "(",
                    "까지",
                    "Dear",
                    "접수",
                    "|",
                    "㈜",
                    "원",
                ]
            ),
            st.floats(0, 0.95),
            st.floats(0, 0.95),
        ),
        max_size=40,
    )
)
def test_any_words_at_all_give_a_result_that_fits_the_schema(cells: list[tuple[str, float, float]]) -> None:
    words = tuple(Word(t, (x, y, x + 0.04, y + 0.012), 0.5, i) for i, (t, x, y) in enumerate(cells))

    SCHEMA.validate(extract(Document((Page(1, 1654, 2339, "ocr", words),))))
