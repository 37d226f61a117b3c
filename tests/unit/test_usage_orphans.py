"""Calls that nobody ended: which are overdue, from where a successor reads, and what closes them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import ChatRequest, Usage
from schemas.usage_ledger import HORIZON_MS, ending, fold_usage
from schemas.usage_rows import HOUR_MS
from streams.metering.open_calls import OpenCalls, aborted
from streams.quota.replicas import LONGEST_CALL_MS, Replicas

NOW = 50 * HORIZON_MS
NOBODY = Replicas(frozenset())


def call(request_id: str = "r", asked_ms: int = NOW) -> ChatRequest:
    return ChatRequest(request_id, request_id, "s", "k1", "openai", "chat", "m", False, "0" * 64, 7, 1, asked_ms)


def test_only_calls_without_an_end_are_overdue_and_those_with_one_are_forgotten() -> None:
    calls = OpenCalls()
    for offset, asked in enumerate((NOW - 90, NOW - 10, NOW - 80)):
        calls.read(offset, call(str(offset), asked))
    assert calls.overdue(NOW - 50, NOW, {"0": True, "2": False}.get, NOBODY) == [2]
    assert (len(calls), calls.following) == (2, 1)
    assert calls.overdue(NOW - 50, NOW, lambda _: None, NOBODY) == [
        2
    ]  # of another process: it stays, and that one closes it


def test_a_call_is_open_while_the_replica_that_serves_it_lives_or_nobody_can_tell() -> None:
    calls = OpenCalls()
    for offset, replica in enumerate(("a", "b", "")):
        calls.read(offset, call(str(offset), NOW - 90), replica)
    calls.read(3, call("3", NOW - LONGEST_CALL_MS - 1), "a")

    def overdue(alive: frozenset[str] | None) -> list[int]:
        return calls.overdue(NOW - 50, NOW, lambda _: False, Replicas(alive))

    assert overdue(frozenset("a")) == [1, 2, 3]
    assert overdue(frozenset()) == [0, 1, 2, 3]
    assert overdue(None) == [2, 3]
    assert calls.following == 0


def test_what_the_ledger_can_take_no_more_is_not_closed() -> None:
    calls = OpenCalls()
    calls.read(0, call(asked_ms=NOW - HORIZON_MS))
    assert calls.overdue(NOW - HOUR_MS, NOW, lambda _: False, NOBODY) == []
    assert calls.following == 1


@given(st.lists(st.booleans(), max_size=20), st.sets(st.integers(0, 19)))
def test_a_successor_reads_every_call_that_is_open(kinds: list[bool], closed: set[int]) -> None:
    calls = OpenCalls()
    for offset, is_call in enumerate(kinds):
        calls.read(offset, call(str(offset)) if is_call else None)
    for offset in closed:
        calls.close(offset)
    still = [o for o, is_call in enumerate(kinds) if is_call and o not in closed]
    assert calls.following == (min(still) if still else len(kinds) or None)


@given(st.permutations(["aborted", "measured", "again"]))
def test_a_measured_end_beats_the_closing_in_every_order(order: list[str]) -> None:
    closing = aborted(call())
    measured = replace(closing, outcome="partial", usage=Usage(prompt_tokens=5), measured_at_ms=NOW + 1)
    entry = None
    for offset, name in enumerate(order):
        entry = fold_usage(entry, measured if name == "measured" else closing, offset)
    assert entry is not None
    assert [r.event for r in entry.records] == [measured]
    counted = ending(entry.records)
    assert counted is not None
    assert counted.event.outcome == "partial"


def test_the_closing_says_what_is_known_and_is_the_same_each_time() -> None:
    event = aborted(call())
    assert event == aborted(call())
    assert (event.outcome, event.final, event.usage) == ("aborted", True, Usage(bytes_in=7, estimated=True))
