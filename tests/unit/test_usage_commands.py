"""What `./gateway usage verify --json` prints of a proof."""

import json
from collections import Counter

import pytest

from cli.usage_commands import _print_proof_json  # pyright: ignore[reportPrivateUsage] - the printing alone
from streams.metering.verify import Proof


def test_a_proof_with_refusals_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    _print_proof_json(Proof(events=3, refused=Counter({"unknown_schema": 2}), reasons=Counter({"cancelled": 1})))
    printed = json.loads(capsys.readouterr().out)
    assert (printed["refused"], printed["reasons"]) == ({"unknown_schema": 2}, {"cancelled": 1})
    assert (printed["events"], printed["holds"]) == (3, True)
