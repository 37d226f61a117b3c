"""Documents that a letter cites, in the forms that are none of 처리과-번호(날짜)."""

from typing import Any

import pytest

from processors.llm.gongmun.citations import find_english_citations
from processors.llm.gongmun.related import find_related
from tests.unit.gongmun.pages import placed, values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("관련: 기획 25-6(2025. 2. 3.)", [{"document_number": "기획 25-6", "issue_date": "2025-02-03"}]),
        (
            "관련: 총무과-12(2025. 2. 3., 2025년 계획 알림)",
            [{"document_number": "총무과-12", "issue_date": "2025-02-03"}],
        ),
        (
            "관련: 물빛광역시 재난관리과-1034(2025. 5. 19.)호",
            [{"organisation": "물빛광역시", "document_number": "재난관리과-1034", "issue_date": "2025-05-19"}],
        ),
        (
            "관련: 총무과-12(2025. 2. 3.)호, 새솔교육청 기획과-33(2025. 2. 4.)호",
            [
                {"document_number": "총무과-12", "issue_date": "2025-02-03"},
                {"organisation": "새솔교육청", "document_number": "기획과-33", "issue_date": "2025-02-04"},
            ],
        ),
        ("하반기 정산에도 총무과-12(2025. 2. 3.)호", [{"document_number": "총무과-12", "issue_date": "2025-02-03"}]),
        ("관련: 총무과-12(시행 2025. 2. 3.)", [{"document_number": "총무과-12", "issue_date": "2025-02-03"}]),
        ("관련: 총무과-12(2025. 2. 3. “계획 알림”)호", [{"document_number": "총무과-12", "issue_date": "2025-02-03"}]),
        (
            "관련: 해양수산부 총무과-12(2025. 2. 3., 접수 총무과-77(2025. 2. 4.))",
            [{"organisation": "해양수산부", "document_number": "총무과-12", "issue_date": "2025-02-03"}],
        ),
        ("관련: 제2025-41호(2025. 2. 3., 견적 요청)", [{"document_number": "제2025-41호", "issue_date": "2025-02-03"}]),
        ("관련: BG-2025-77(2025. 2. 3., 견적 요청)", [{"document_number": "BG-2025-77", "issue_date": "2025-02-03"}]),
        ("접수번호: 총무과-77(2025. 2. 4.)", []),
        ("둑길 정비-2(2025. 2. 3. ~ 2. 5.)", []),
        ("「하천법」 제33조(2025. 2. 3. 개정)", []),
        ("문의: 총무과 25-6(내선 123)", []),
        ("사업기간 25-6(2025년 예산, 국비)", []),
    ],
)
def test_korean_citations(text: str, expected: list[dict[str, Any]]) -> None:
    assert values(find_related([placed(text)])) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "We refer to your letter ref. KM 25/114 of 3 March 2025 and thank you.",
            [{"document_number": "KM 25/114", "issue_date": "2025-03-03"}],
        ),
        ("In your letter (our ref: NF/25/301) you ask for data.", [{"document_number": "NF/25/301"}]),
        (
            "See invoice no. NI-2025-41 dated 3 March 2025.",
            [{"document_number": "NI-2025-41", "issue_date": "2025-03-03"}],
        ),
        (
            "Thank you for your letter of 3 March 2025 (your ref. KM-25/114).",
            [{"document_number": "KM-25/114", "issue_date": "2025-03-03"}],
        ),
        (
            "With reference to your letter KM-25/114 dated 3 March 2025, we agree.",
            [{"document_number": "KM-25/114", "issue_date": "2025-03-03"}],
        ),
        (
            "Further to our offer no. NF/25/301 (7 February 2025) we add a plan.",
            [{"document_number": "NF/25/301", "issue_date": "2025-02-07"}],
        ),
        ("Please quote our offer by 3 March 2025 with number 12.", []),
        ("The letter A-frame is drawn on sheet 3.", []),
        ("We refer to your letter of 3 March 2025.", []),
        ("Please order a number of copies by 3 March 2025.", []),
        ("The notice refers to 12 sites.", []),
    ],
)
def test_english_citations(text: str, expected: list[dict[str, Any]]) -> None:
    assert values(find_english_citations([placed(text)], False)) == expected
