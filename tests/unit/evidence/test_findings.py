"""Values and places from a result."""

from typing import Any

import pytest

from ingress.evidence.findings import Place, findings_of, places_at

RESULT: dict[str, Any] = {
    "schema_version": "1.0",
    "title": "조사 안내",
    "direction": "unknown",
    "recipients": [{"name": "갈숲시장"}, {"name": "너른군수", "attention": ""}],
    "disclosure": {"level": "partial", "reasons": ["5", "6"]},
    "approval": [{"delegated": True}],
    "amounts": [{"value": 35000000}, {"value": 400.0}],
    "body": {
        "text": "1. 조사",
        "items": [{"marker": "1.", "level": 1, "text": "조사", "children": [{"text": "하나"}]}],
    },
    "evidence": {
        "/title": [
            {"page": 1, "bbox": [0.1, 0.2, 0.3, 0.21], "text": "조사", "confidence": 0.9, "source": "ocr"},
            {"page": 1, "bbox": [0.1, 0.22, 0.2, 0.23], "text": "안내", "confidence": 0.5, "source": "ocr"},
        ],
        "/disclosure": [{"page": 2, "bbox": [0.5, 0.9, 0.6, 0.91]}],
        "/recipients/0/name": [{"page": 1}],
        "/recipients/1/name": [{"page": 2, "bbox": [0.9, 0.5, 0.1, 1.5]}],
    },
    "warnings": [{"code": "x"}],
}


def test_every_value_is_there_once_in_its_order() -> None:
    assert [(f.pointer, f.value) for f in findings_of(RESULT)] == [
        ("/title", "조사 안내"),
        ("/direction", "unknown"),
        ("/recipients/0/name", "갈숲시장"),
        ("/recipients/1/name", "너른군수"),
        ("/disclosure/level", "partial"),
        ("/disclosure/reasons/0", "5"),
        ("/disclosure/reasons/1", "6"),
        ("/approval/0/delegated", "예 · yes"),
        ("/amounts/0/value", "35,000,000"),
        ("/amounts/1/value", "400"),
        ("/body/items/0/text", "1. 조사"),
        ("/body/items/0/children/0/text", "하나"),
    ]


def test_a_wrapped_value_is_as_sure_as_its_least_sure_line() -> None:
    title = findings_of(RESULT)[0]
    assert (title.confidence, title.as_read) == (0.5, "조사 안내")


def test_a_value_without_evidence_of_its_own_takes_its_parents() -> None:
    found = {f.pointer: f.places for f in findings_of(RESULT)}
    assert found["/disclosure/level"] == (Place(2, (0.5, 0.9, 0.6, 0.91)),)
    assert found["/direction"] == ()


def test_a_box_is_put_in_order_and_kept_on_the_page() -> None:
    assert places_at(RESULT, "/recipients/1/name") == (Place(2, (0.1, 0.5, 0.9, 1.0)),)


def test_a_pointer_to_a_part_gives_the_places_of_all_its_values() -> None:
    assert [place.page for place in places_at(RESULT, "/recipients")] == [1, 2]
    assert places_at(RESULT, "/recip") == ()


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        [],
        {"/title": None},
        {"/title": [None, 3, {}]},
        {"/title": [{"page": "1"}]},
        {"/title": [{"page": True}]},
    ],
)
def test_evidence_that_is_none_is_left_out(evidence: object) -> None:
    assert findings_of({"title": "t", "evidence": evidence})[0].places == ()


@pytest.mark.parametrize("box", [None, [1, 2], ["a", "b", "c", "d"], "0000"])
def test_a_box_that_is_none_leaves_the_page(box: object) -> None:
    (place,) = places_at({"evidence": {"/title": [{"page": 3, "bbox": box}]}}, "/title")
    assert (place.page, place.box) == (3, None)


def test_a_result_nested_without_end_does_not_end_the_process() -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"x": deep, "y": 1}
    assert len(findings_of(deep)) < 60
