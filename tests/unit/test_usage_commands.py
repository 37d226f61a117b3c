"""What `./gateway usage verify --json` prints of a proof."""

import json
from collections import Counter

import pytest

from cli.usage_commands import (
    _print_proof,
    _print_proof_json,
    _show,
)
from schemas.usage_rows import ZERO, RowId
from streams.metering.proof import Difference, Proof, SumDifference
from streams.metering.spent import SumAmounts, SumId

ROW = RowId(0, "mail-room", "k1", "ocr", "m", "", "interactive", "done")
WRONG = Proof(
    differences=[Difference("day", ROW, None, ZERO, ("r1",))],
    sums=[SumDifference(SumId(3, "mail-room", "2027-01", ""), SumAmounts(1, 2, 3, 4), SumAmounts(1, 2, 3, 5))],
)


def test_what_could_not_be_checked_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """0 differences in a period of which no job and no call was looked at is half of what it seems."""
    _print_proof(Proof(jobs_since_ms=1_790_000_000_000, money=False))
    said = capsys.readouterr().out
    assert "not checked: jobs before 2026-09-21T14:13:20+00:00" in said
    assert "not compared: money" in said
    assert "calls before" not in said
    _print_proof(Proof())
    assert "not " not in capsys.readouterr().out


def test_a_proof_with_refusals_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    _print_proof_json(Proof(events=3, refused=Counter({"unknown_schema": 2}), reasons=Counter({"cancelled": 1})))
    printed = json.loads(capsys.readouterr().out)
    assert (printed["refused"], printed["reasons"]) == ({"unknown_schema": 2}, {"cancelled": 1})
    assert (printed["events"], printed["holds"]) == (3, True)


def test_days_and_sums_that_differ_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    _print_proof(WRONG)
    said = capsys.readouterr().out
    assert "difference: day 0 / mail-room / k1 / ocr / m / - / interactive / done: reported None" in said
    assert "budget sum: 3 / mail-room / 2027-01 / -: kept (1, 2, 3, 4), the log makes (1, 2, 3, 5)" in said
    assert "NOT" in said
    _print_proof_json(WRONG)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["holds"], printed["differences"][0]["level"]) == (False, "day")
    assert printed["sums"][0]["sum"] == {"partition": 3, "service": "mail-room", "month": "2027-01", "key": ""}
    assert (printed["sums"][0]["reported"]["money"], printed["sums"][0]["recomputed"]["money"]) == (4, 5)


@pytest.mark.parametrize("waste", [True, False])
def test_attempts_and_waste_are_shown_when_asked_for(waste: bool, capsys: pytest.CaptureFixture[str]) -> None:
    measures = ("prompt_tokens", "completion_tokens", "pages", "audio_seconds", "work_seconds")
    wasted = dict.fromkeys((*measures, "cost"), 8765)
    row = {**dict.fromkeys(("requests", *measures, "cost"), 1), "attempts": 4321, "waste": wasted}
    found = {"group_by": [], "rows": [], "total": row, "from": "a", "to": "b", "complete_through": "c", "unpriced": []}
    _show(found, waste=waste)
    said = capsys.readouterr().out
    assert ("4,321" in said) is waste
    assert said.count("8,765") == (6 if waste else 0)
