"""Short chaos runs: a few faults, everything checked as in a long one."""

import pytest

from bench.chaos.run import Options, run_chaos

pytestmark = [pytest.mark.stack, pytest.mark.timeout(420)]

QUICK = ("kill-ingress", "kill-probe-1", "flush-redis", "poison", "repeat", "handler-crashes")
SLOW = ("kill-kafka", "kill-job-state", "kill-llm", "kill-stt")


@pytest.mark.full
def test_nothing_is_lost_and_nothing_counts_twice() -> None:
    outcome = run_chaos(
        Options(minutes=0.4, seed=11, faults=QUICK, jobs_per_s=6, letter_every_s=0, speech_every_s=0, orphan_s=10)
    )
    assert outcome.kept, outcome.as_text()
    assert outcome.verdict.jobs > 20
    assert sum(row.injected for row in outcome.table) >= 2


@pytest.mark.full
def test_nothing_is_lost_when_the_broker_the_table_and_the_processors_die() -> None:
    outcome = run_chaos(Options(minutes=2, seed=4, faults=SLOW, jobs_per_s=6, speech_every_s=5))
    assert outcome.kept, outcome.as_text()
    assert {"kill-kafka", "kill-job-state"} <= {row.fault for row in outcome.table if row.injected}
