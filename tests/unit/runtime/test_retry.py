"""What follows a failed attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInput, Outage, Permanent, Transient
from streams.runtime.circuit import Circuit
from streams.runtime.processor import RetryPolicy
from streams.runtime.retry import DeadLetter, Retry, WaitForRecovery, decide, probe_pause

POLICY = RetryPolicy(attempts=3, backoff_s=0.5, backoff_limit_s=3)


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.5)])
def test_a_transient_failure_is_repeated_after_a_growing_pause(attempt: int, longest: float) -> None:
    assert decide(Transient("x"), attempt, POLICY, 1.0) == Retry(longest)
    assert decide(Transient("x"), attempt, POLICY, 0.0) == Retry(longest / 2)


def test_the_last_attempt_is_the_last() -> None:
    error = Transient("x")
    assert decide(error, 3, POLICY, 0.5) == DeadLetter(error)


@pytest.mark.parametrize("error", [Permanent("x"), InvalidInput("x")])
def test_what_is_permanent_is_not_repeated(error: Permanent) -> None:
    assert decide(error, 1, POLICY, 0.5) == DeadLetter(error)


@given(st.integers(1, 1000))
def test_an_outage_never_ends_a_message(attempt: int) -> None:
    error = Outage("x")
    assert decide(error, attempt, POLICY, 0.5) == WaitForRecovery(error)


@given(st.integers(1, 1000), st.floats(0, 1))
def test_pauses_stay_within_the_limit(attempt: int, jitter: float) -> None:
    decision = decide(Transient("x"), attempt, RetryPolicy(attempts=2000, backoff_limit_s=7), jitter)
    assert isinstance(decision, Retry)
    assert 0 < decision.after_s <= 7


def test_an_open_circuit_lets_one_probe_through_at_a_time() -> None:
    circuit = Circuit()
    assert circuit.may_start(0)
    circuit.failed("down", 0)
    circuit.failed("down", 0)  # one that was under way
    assert not circuit.may_start(0.5)
    assert circuit.may_start(1.0)
    assert not circuit.may_start(1.0)
    circuit.failed("still down", 1.0)
    assert circuit.probe_at == 1.0 + probe_pause(2) == 3.0
    assert circuit.may_start(3.0)
    circuit.answered()
    assert circuit.may_start(3.0)
    assert not circuit.is_open


def test_pauses_between_probes_end_at_ten_seconds() -> None:
    assert [probe_pause(n) for n in (1, 2, 3, 4, 5, 5000)] == [1, 2, 4, 8, 10, 10]
