"""A model's answer: what is on the page fills and corrects; nothing else changes a result, whatever a letter says."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.llm.gongmun.extract import extract
from processors.llm.gongmun.model_answer import merge
from processors.llm.gongmun.model_question import LISTS, answer_schema, lines_by_id, prompt, question
from processors.llm.gongmun_stage import check_result
from schemas.pages import Document
from tests.unit.gongmun.model_results import STEERED, facts, gap, line_of
from tests.unit.gongmun.pages import PUBLIC, document_of


def joined_with(document: Document, answer: dict[str, Any], **dropped: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the rules' result (without `dropped`) and the one with the answer merged."""
    rules = extract(document)
    for key in dropped:
        rules.pop(key)
        rules["evidence"].pop(f"/{key}")
    return rules, merge(rules, lines_by_id(document), answer)


def codes(result: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in result.get("warnings", [])]


def test_a_gap_is_filled_with_a_box_on_the_page() -> None:
    document = document_of(PUBLIC)
    title = extract(document)["title"]
    answer = {"title": {"value": title, "line": line_of(document, title[:6])}}
    rules, merged = joined_with(document, answer, title=True)

    assert "title" not in rules
    assert merged["title"] == title
    (entry,) = merged["evidence"]["/title"]
    assert entry["source"] == "model"
    assert entry["bbox"] == extract(document)["evidence"]["/title"][0]["bbox"]


def test_a_value_that_is_not_on_the_page_is_dropped_with_a_warning() -> None:
    document = document_of(PUBLIC)
    title = extract(document)["title"]
    answer = {"title": {"value": "전혀 다른 제목입니다", "line": line_of(document, title[:6])}}
    rules, merged = joined_with(document, answer, title=True)

    assert facts(merged) == facts(rules)
    assert codes(merged)[-1] == "model_value_not_on_page"


def _misread(confidence: float) -> tuple[Document, str]:
    """Return the letter with one wrong letter in its title, read so surely, and the title."""
    clean = document_of(PUBLIC, source="ocr")
    title = str(extract(clean)["title"])
    first = title.split()[0]
    page = clean.pages[0]
    words = tuple(
        replace(word, text="빓" + word.text[1:], confidence=confidence) if word.text == first else word
        for word in page.words
    )
    return replace(clean, pages=(replace(page, words=words),)), title


def test_a_title_that_was_too_unsure_to_give_is_filled_in() -> None:
    document, title = _misread(0.4)
    rules, merged = joined_with(document, {"title": {"value": title, "line": line_of(document, "제목")}})

    assert "title" not in rules
    assert merged["title"] == title
    assert merged["evidence"]["/title"][0]["source"] == "model"


def test_doubtful_letters_are_corrected_and_the_rules_value_is_kept() -> None:
    document, title = _misread(0.72)
    wrong = str(extract(document)["title"])
    assert wrong != title
    _, merged = joined_with(document, {"title": {"value": title, "line": line_of(document, "제목")}})

    assert merged["title"] == title
    assert merged["warnings"][-1]["code"] == "rules_value_replaced"
    assert wrong in merged["warnings"][-1]["message"]


def test_a_text_layer_is_never_corrected() -> None:
    document = document_of(PUBLIC)
    title = str(extract(document)["title"])
    rules, merged = joined_with(document, {"title": {"value": "빓" + title[1:], "line": line_of(document, "제목")}})

    assert facts(merged) == facts(rules)
    assert codes(merged)[-1] == "model_value_differs"


def test_a_model_cannot_change_a_figure() -> None:
    document = document_of(PUBLIC, source="ocr")
    answer = {"document_number": {"value": "도로과-513", "line": line_of(document, "도로과-512")}}
    rules, merged = joined_with(document, answer)

    assert facts(merged) == facts(rules)
    assert codes(merged)[-1] == "model_value_changes_figures"


def _unsure_number(number: str = "도로과-712", confidence: float = 0.3) -> Document:
    clean = document_of(PUBLIC, source="ocr")
    page = clean.pages[0]
    words = tuple(
        replace(word, text=number, confidence=confidence) if word.text == "도로과-512" else word for word in page.words
    )
    return replace(clean, pages=(replace(page, words=words),))


def test_what_the_rules_left_out_as_unsure_stays_out_when_a_model_says_it_again() -> None:
    document = _unsure_number()
    answer = {"document_number": {"value": "도로과-712", "line": line_of(document, "도로과-712")}}
    rules, merged = joined_with(document, answer)

    assert codes(rules) == ["unsure"]
    assert facts(merged) == facts(rules)
    assert codes(merged) == ["unsure", "model_value_unsure"]


def test_what_no_grammar_allows_stays_out_however_well_it_was_read() -> None:
    cut = "다리 안전점검 협조 요청을"
    document = document_of(PUBLIC.replace("다리 안전점검 결과 제출 협조 요청", cut), source="ocr")
    rules, merged = joined_with(document, {"title": {"value": cut, "line": line_of(document, "제목")}})

    assert codes(rules) == ["unsure"]
    assert facts(merged) == facts(rules)


def test_figures_that_were_badly_read_are_no_better_for_a_corrected_word() -> None:
    document = _unsure_number("도로꽈-712")
    answer = {"document_number": {"value": "도로과-712", "line": line_of(document, "-712")}}
    rules, merged = joined_with(document, answer)

    assert "document_number" not in rules
    assert facts(merged) == facts(rules)


def test_a_gap_that_the_rules_did_not_explain_is_not_filled_with_badly_read_figures() -> None:
    document = _unsure_number()
    rules = gap(extract(document), "/document_number")
    rules["warnings"] = []
    answer = {"document_number": {"value": "도로과-712", "line": line_of(document, "도로과-712")}}

    assert codes(merge(rules, lines_by_id(document), answer)) == ["model_value_unsure"]


def test_an_unsure_title_stays_out_while_a_doubtful_word_is_left_as_it_was() -> None:
    document, title = _misread(0.4)
    page = document.pages[0]
    doubtful = title.split()[1]
    words = tuple(replace(word, confidence=0.4) if word.text == doubtful else word for word in page.words)
    document = replace(document, pages=(replace(page, words=words),))
    answer = {"title": {"value": title, "line": line_of(document, "제목")}}
    rules, merged = joined_with(document, answer)

    assert "title" not in rules
    assert facts(merged) == facts(rules)
    assert codes(merged) == ["unsure", "model_value_unsure"]


def test_a_filled_gap_no_longer_warns_that_it_was_left_out() -> None:
    document, title = _misread(0.4)
    _, merged = joined_with(document, {"title": {"value": title, "line": line_of(document, "제목")}})

    assert codes(merged) == ["model_value_filled"]
    assert "빓" in merged["warnings"][0]["message"]


@settings(max_examples=25)
@given(
    answer=st.dictionaries(
        st.sampled_from(sorted(STEERED)),
        st.fixed_dictionaries({"value": st.text(max_size=40), "line": st.sampled_from(["L1", "L2", "L5", "L999", ""])}),
    )
)
def test_no_answer_breaks_the_schema_or_replaces_what_a_text_layer_shows(answer: dict[str, Any]) -> None:
    import orjson

    document = document_of(PUBLIC)
    rules, merged = joined_with(document, answer)
    check_result(orjson.dumps(merged))
    for key in ("title", "document_number", "issue_date"):
        assert merged[key] == rules[key]


def test_the_question_numbers_its_lines_and_the_prompt_has_a_version() -> None:
    lines = lines_by_id(document_of(PUBLIC))
    rows = question(lines).splitlines()

    assert rows[0].startswith("L1| ")
    assert len(rows) == len(lines)
    version, text = prompt()
    assert version.isdigit()
    assert text.startswith("You read")
    assert set(answer_schema()["properties"]) == {*STEERED, "disclosure", *LISTS}
