from processors.llm.gongmun.extract import extract
from processors.llm.gongmun.unlabelled import head_by_form
from tests.unit.gongmun.pages import document_of, lines_of

LETTER = """\
              ㈜한울소재

              기술-251214-15
              2025. 12. 14.
              주식회사 빛고을전자 귀중
              안전시설 점검 결과 통보

1. 귀사의 발전을 기원합니다.
2. 서식을 작성하여 2026. 1. 18.까지 제출하여 주시기 바랍니다.  끝.
"""


def test_values_without_labels_are_told_by_their_forms() -> None:
    result = extract(document_of(LETTER))

    assert result["origin"] == "domestic_private"
    assert result["document_number"] == "기술-251214-15"
    assert result["issue_date"] == "2025-12-14"
    assert result["recipients"] == [{"name": "주식회사 빛고을전자"}]
    assert result["title"] == "안전시설 점검 결과 통보"


def test_a_list_with_a_date_above_is_no_letter() -> None:
    assert head_by_form(lines_of("오늘의 할 일\n2025. 12. 14.\n\n1. 장보기\n2. 청소")) == []
