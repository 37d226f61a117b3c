"""A short chaos run: a few quick faults, everything checked as in a long one."""

import pytest

from bench.chaos.run import Options, run_chaos

pytestmark = [pytest.mark.stack, pytest.mark.timeout(420)]

FAULTS = ("kill-probe-1", "flush-redis", "poison", "repeat", "handler-crashes")


def test_nothing_is_lost_and_nothing_counts_twice() -> None:
    outcome = run_chaos(Options(minutes=0.5, seed=11, faults=FAULTS, jobs_per_s=6, letter_every_s=0))
    assert outcome.kept, outcome.as_text()
    assert outcome.verdict.jobs > 20
    assert sum(row.injected for row in outcome.table) >= 3
