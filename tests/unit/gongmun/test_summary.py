"""The summary says what was read, and nothing else."""

from typing import Any

import orjson
import pytest

from processors.llm.gongmun.child import join
from processors.llm.gongmun.extract import extract
from processors.llm.gongmun.summary import with_summary
from schemas.pages import encode_document
from tests.unit.gongmun.model_results import line_of
from tests.unit.gongmun.pages import PUBLIC, document_of

SENT = {"sender": {"organisation": "너른군"}, "title": "조사 안내", "origin": "domestic_public"}
ENGLISH = {"sender": {"organisation": "Northfold Institute"}, "title": "Workshop", "origin": "foreign"}


def _due(*days: str) -> list[dict[str, str]]:
    return [{"action": "제출", "due_date": day} for day in days]


@pytest.mark.parametrize(
    ("result", "summary"),
    [
        (SENT, "너른군에서 「조사 안내」 문서를 보냈다."),
        (SENT | {"recipients": [{"name": "갈숲시장"}]}, "너른군에서 갈숲시장 앞으로 「조사 안내」 문서를 보냈다."),
        (
            SENT
            | {"recipients": [{"name": "갈숲시장"}, {"name": "다온시장"}], "requested_actions": _due("2025-03-04")},
            "너른군에서 갈숲시장 등 2곳 앞으로 「조사 안내」 문서를 보냈다(기한: 2025. 3. 4.).",
        ),
        (SENT | {"title": "「하천법」 개정 안내"}, "너른군에서 『「하천법」 개정 안내』 문서를 보냈다."),
        (SENT | {"recipients": [{"name": "내부결재"}]}, "너른군에서 「조사 안내」 문서를 내부결재로 작성하였다."),
        (
            SENT | {"requested_actions": [*_due("2025-04-02", "2025-03-04"), {"action": "회신"}]},
            "너른군에서 「조사 안내」 문서를 보냈다(기한: 2025. 3. 4., 2025. 4. 2.).",
        ),
        (
            SENT | {"requested_actions": _due("2025-03-01", "2025-03-02", "2025-03-03", "2025-03-04")},
            "너른군에서 「조사 안내」 문서를 보냈다(기한: 2025. 3. 1., 2025. 3. 2., 2025. 3. 3. 등).",
        ),
        (
            ENGLISH | {"recipients": [{"name": "City of Galsup"}], "requested_actions": _due("2025-08-29")},
            'Northfold Institute wrote to City of Galsup about "Workshop" (due 29 August 2025).',
        ),
        (
            ENGLISH | {"recipients": [{"name": "A"}, {"name": "B"}, {"name": "C"}]},
            'Northfold Institute wrote to A and 2 others about "Workshop".',
        ),
        ({"title": "조사 안내", "origin": "domestic_public"}, None),
        ({"sender": {"organisation": "너른군"}, "origin": "domestic_public"}, None),
    ],
)
def test_who_sends_what_to_whom_until_when(result: dict[str, Any], summary: str | None) -> None:
    assert with_summary(result).get("summary") == summary


def test_it_points_to_what_it_says() -> None:
    result = extract(document_of(PUBLIC))
    parts = ("/sender/organisation", "/recipients/0/name", "/title", "/requested_actions/0/due_date")

    assert result["summary"].startswith("해맑은군에서 가람시장")
    assert "2025. 3. 14." in result["summary"]
    assert result["evidence"]["/summary"] == [entry for part in parts for entry in result["evidence"][part]]


def test_what_a_model_fills_is_in_it() -> None:
    document = document_of(PUBLIC)
    rules = extract(document)
    title = rules.pop("title")
    del rules["evidence"]["/title"], rules["summary"], rules["evidence"]["/summary"]
    answer = {"title": {"value": title, "line": line_of(document, title[:6])}}

    result = orjson.loads(join(encode_document(document), orjson.dumps(rules), answer, {"model": "tiny"}))

    assert f"「{title}」" in result["summary"]
    assert "model" in {entry["source"] for entry in result["evidence"]["/summary"]}


def test_what_is_no_letter_has_none() -> None:
    assert "summary" not in extract(document_of("주간 업무 보고\n1. 회의 개최"))
