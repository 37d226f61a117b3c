import pytest

from processors.llm.gongmun.char_boxes import split_box
from processors.llm.gongmun.placed import Read, joined
from processors.llm.gongmun.result import render
from tests.unit.gongmun.pages import lines_of, placed


def test_a_cut_keeps_only_its_own_boxes() -> None:
    (entry,) = placed("주무관(033-555-0284)").cut(4, 16).evidence()

    assert entry["text"] == "033-555-0284"
    assert entry["bbox"] == pytest.approx([0.04, 0.1, 0.16, 0.12])


def test_a_wrapped_value_has_an_entry_a_line() -> None:
    value = joined([placed("by 29", line=3).cut(3), placed("August 2025?", line=4).cut(0, 11)])

    assert [entry["text"] for entry in value.evidence()] == ["29", "August 2025"]


def test_hangul_takes_more_of_a_word_than_a_bracket() -> None:
    boxes = split_box("장(과)", (0.0, 0.0, 1.0, 1.0))

    assert boxes[0][2] - boxes[0][0] > 2 * (boxes[1][2] - boxes[1][0])
    assert boxes[-1][2] == pytest.approx(1.0)


def test_a_tree_of_readings_becomes_json_and_evidence() -> None:
    result = render(
        {"title": Read("제목", placed("제목")), "recipients": [{"name": Read("갑", placed("갑"))}], "via": {}}
    )

    assert result["title"] == "제목"
    assert "via" not in result
    assert set(result["evidence"]) == {"/title", "/recipients/0/name"}


def test_uncertain_readings_are_less_confident() -> None:
    assert placed("값").evidence(0.5)[0]["confidence"] == 0.5


def test_plain_text_has_the_length_of_the_text() -> None:
    text = placed("（가）～‘나’ㆍ다")

    assert text.plain == "(가)~'나'·다"
    assert len(text.plain) == len(text.text)


def test_the_value_of_a_label_has_a_box_of_its_own() -> None:
    (line,) = lines_of("제목    축제 안내")
    (entry,) = line.text.cut(4).evidence()

    assert entry["text"] == "축제 안내"
    assert entry["bbox"][0] == pytest.approx(8 / 96, abs=0.002)
