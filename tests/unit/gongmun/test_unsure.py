"""What fails its field's grammar, or was read too badly, is left out and said so; the rest stays."""

from dataclasses import replace

import pytest

from processors.llm.gongmun.placed import Placed, Read
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
        *("관리비 3.5% 인상 내역", "자료 v2.0", "개인정보 수집·이용 동의서", "[별지 1] 서식", "점검표.pdf"),
    ],
)
def test_attachments_may_be_called_so(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    ["자주 묻는 질문『^0)", "교재.00【2", "제출 MALhwpx 28", "제출 AMAL_hwpx", "서식.0", "정산 지침(제2판", "서식4×2"],
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


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        pytest.param(_read("도로과-512"), True, id="well read"),
        pytest.param(_read("도로과-512", 0.5), False, id="badly read"),
        pytest.param(_read("행정팀-512", certainty=0.4), False, id="torn"),
        pytest.param(_read("oes 제2025-41호"), False, id="syllables as Latin letters"),
        pytest.param(_read("NR-2026-118"), True, id="capitals are a company's own"),
        pytest.param(_read("oes 제2025-41호", 1.0, source="text_layer"), True, id="a text layer is not doubted"),
    ],
)
def test_a_number_that_may_be_another_is_left_out(number: Read, kept: bool) -> None:
    tree = without_unsure({"document_number": number})

    assert ("document_number" in tree, "warnings" in tree) == (kept, not kept)
