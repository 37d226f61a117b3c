"""What counts as the same, as right, and as the right place."""

import random
from typing import Any

import pytest
from rapidfuzz.distance import Levenshtein

from cli.evaluation import normal
from cli.evaluation.likeness import distance, distance_within, likeness
from cli.evaluation.origins import Wrong, origin, true_text
from cli.evaluation.scoring import Counts, overlap, score_letter


@pytest.mark.parametrize(
    ("same", "one", "other"),
    [
        (normal.text, "2025년  빈집 안내.", "2025년 빈집안내"),
        (normal.text, "「조례」 Ａ－１", "조례 a-1"),
        (normal.text, "시ㆍ군", "시·군"),
        (normal.organisation, "주식회사 나루", "나루㈜"),
        (normal.organisation, "Harbour Co., Ltd.", "HARBOUR"),
        (normal.addressee, "나루 대표이사 귀하", "(주)나루"),
        (normal.addressee, "갈숲시장 귀중", "갈숲시장"),
        (normal.date, "2025. 2. 24.", "2025-02-24"),
        (normal.date, "2025년 2월 4일", "2025-02-04"),
        (normal.phone, "+82 (0)51 555-0911", "(051)555-0911"),
        (normal.phone, "＋82-51-555-0911", "051 555 0911"),
    ],
)
def test_what_is_the_same(same: Any, one: str, other: str) -> None:
    assert same(one) == same(other)


def test_what_is_not_the_same() -> None:
    assert normal.text("공개") != normal.text("비공개")
    assert normal.phone("051-555-0911") != normal.phone("051-555-0912")


def test_distances_are_those_of_levenshtein() -> None:
    chance = random.Random(5)
    for _ in range(300):
        one, other = ("".join(chance.choices("가나다 ab", k=chance.randrange(40))) for _ in range(2))
        assert distance(one, other) == Levenshtein.distance(one, other)
    assert (likeness("", ""), likeness("가", ""), likeness("가나", "가다")) == (1.0, 0.0, 0.5)


def test_the_nearest_piece_of_a_text() -> None:
    chance = random.Random(6)
    for _ in range(60):
        part, text = ("".join(chance.choices("가나다", k=chance.randrange(12))) for _ in range(2))
        pieces = (text[i:j] for i in range(len(text) + 1) for j in range(i, len(text) + 1))
        assert distance_within(part, text) == min(Levenshtein.distance(part, piece) for piece in pieces)


LETTER: dict[str, Any] = {
    "title": "빈집 정비계획 안내",
    "issue_date": "2025-03-04",
    "contacts": [{"phone": "051-555-0911", "person": "이보람"}],
    "body": {"items": [{"text": "현장 조사를 실시하오니 협조하여 주시기 바랍니다."}]},
}


@pytest.mark.parametrize(
    ("value", "missed", "expected"),
    [
        pytest.param("빈집정비계획안네", ["빈집정비계획안내"], Wrong(misread=1), id="one letter wrong"),
        pytest.param("과-7", ["과-1"], Wrong(misread=1), id="one letter of three"),
        pytest.param("현장조사률실시", ["빈집정비계획안내"], Wrong(misplaced=1), id="another place, slip allowed"),
        pytest.param("이보람", [], Wrong(misplaced=1), id="another field's value"),
        pytest.param("2025-03-09", [], Wrong(misplaced=1), id="a date with one figure wrong"),
        pytest.param("2027-12-31", [], Wrong(nowhere=1), id="no date of the letter"),
        pytest.param("도로점용허가", ["빈집정비계획안내"], Wrong(nowhere=1), id="nowhere"),
        pytest.param("0515550911", [], Wrong(misplaced=1), id="figures however they are written"),
    ],
)
def test_where_a_wrong_value_comes_from(value: str, missed: list[str], expected: Wrong) -> None:
    assert origin(value, missed, true_text(LETTER)) == expected


def test_boxes_overlap() -> None:
    assert overlap((0, 0, 1, 1), (0, 0, 1, 1)) == 1.0
    assert overlap((0, 0, 1, 1), (0, 0, 1, 0.5)) == 0.5
    assert overlap((0, 0, 1, 1), (1, 0, 2, 1)) == 0.0


TRUTH: dict[str, Any] = {
    "title": "조사 안내",
    "recipients": [{"name": "갈숲시장"}, {"name": "너른군수"}],
    "contacts": [{"phone": "051-555-0911"}, {"phone": "(051)555-0911"}],
    "disclosure": {"level": "partial", "reasons": ["5", "6"]},
    "body": {"items": [{"marker": "1.", "text": "조사", "tables": [{"header": ["구분"], "rows": [["가"]]}]}]},
}
PLACE = {"page": 1, "bbox": [0.1, 0.1, 0.3, 0.12]}
BOXES: dict[str, Any] = {
    "/title": [[PLACE, {"page": 1, "bbox": [0.1, 0.13, 0.2, 0.15]}]],
    "/contacts/1/phone": [[{"page": 2, "bbox": [0.5, 0.5, 0.6, 0.52]}]],
}


def _score(result: dict[str, Any]) -> Any:
    return score_letter(TRUTH, BOXES, result)


def test_the_truth_is_right() -> None:
    score = _score(TRUTH)
    assert score.core == Counts(right=5)
    assert (score.core.f1, score.body, score.faults) == (1.0, 1.0, ())


def test_nothing_read_misses_everything() -> None:
    score = _score({})
    assert score.core == Counts(missed=5)
    assert (score.core.f1, score.core.wrong, score.body) == (0.0, 0.0, 0.0)


def test_a_wrong_value_is_one_missed_and_one_extra() -> None:
    score = _score({**TRUTH, "title": "다른 제목"})
    assert score.fields["title"] == Counts(0, 1, 1)
    assert score.faults == ("title missed: 조사안내", "title extra: 다른제목 (not in the letter)")
    assert (score.core.wrong, score.wrong) == (0.2, Wrong(nowhere=1))


def test_one_digit_of_the_disclosure_matters_but_not_the_order() -> None:
    assert _score({"disclosure": {"level": "partial", "reasons": ["6", "5"]}}).fields["disclosure"].right == 1
    assert _score({"disclosure": {"level": "partial", "reasons": ["5", "7"]}}).fields["disclosure"].right == 0


def test_a_value_of_a_list_counts_as_often_as_it_is_there_and_a_phone_once() -> None:
    result = {"recipients": [{"name": "갈숲시장"}] * 2, "contacts": [{"phone": "0515550911"}] * 3}
    score = _score(result)
    assert score.fields["recipients"] == Counts(1, 1, 1)
    assert score.fields["phones"] == Counts(1, 0, 0)


@pytest.mark.parametrize(
    ("evidence", "hits"),
    [
        ({"/title": [PLACE]}, 1),  # one of the lines
        ({"/title": [{"page": 1, "bbox": [0.1, 0.1, 0.3, 0.15]}]}, 1),  # all lines together
        ({"/title": [{"page": 2, "bbox": PLACE["bbox"]}]}, 0),
        ({"/title": [{"page": 1, "bbox": [0.1, 0.1, 0.9, 0.12]}]}, 0),  # not tight
        ({"/title": [{"page": 1}]}, 0),
        ({}, 0),
    ],
)
def test_evidence_hits_where_the_value_stands(evidence: dict[str, Any], hits: int) -> None:
    found = _score({"title": "조사 안내", "evidence": evidence}).evidence
    assert (found.values, found.hits) == (1, hits)


def test_evidence_may_point_to_any_place_of_a_repeated_phone() -> None:
    place = [{"page": 2, "bbox": [0.5, 0.5, 0.6, 0.52]}]
    result = {"contacts": [{"phone": "051-555-0911"}], "evidence": {"/contacts/0": place}}
    assert _score(result).evidence.hits == 1


def test_results_that_are_not_as_they_should_be_score_nothing() -> None:
    odd = {"recipients": "갈숲시장", "contacts": [None, 3], "disclosure": [], "body": "글", "amounts": [{"value": "x"}]}
    assert _score(odd).core == Counts(missed=5)
