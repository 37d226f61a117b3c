"""The pool's pure pieces: breaker, selection, fair queue."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.llm.pool import breaker as circuit
from processors.llm.pool.breaker import CLOSED, Breaker, BreakerPolicy
from processors.llm.pool.fair_queue import GRANTS_PER_BULK, FairQueue, Waiter
from processors.llm.pool.selection import Candidate, Prefixes, prefix_hashes, ranked

POLICY = BreakerPolicy(failures=2, cool_down_s=10, cool_down_limit_s=30)
UP = frozenset({"up"})


# --- breaker ----------------------------------------------------------------------------------------------------


def test_a_breaker_opens_cools_down_and_closes() -> None:
    once = circuit.failed(CLOSED, 0, POLICY)
    assert circuit.allows(once, 0)
    opened = circuit.failed(once, 1, POLICY)
    assert not circuit.allows(opened, 10.9)
    assert circuit.retry_at(opened) == 11
    assert circuit.allows(opened, 11)
    trial = circuit.began(opened, 11)
    assert not circuit.allows(trial, 11)
    assert circuit.succeeded(trial) == CLOSED


def test_each_failed_trial_doubles_the_cool_down_up_to_the_limit() -> None:
    breaker, now, waits = Breaker(1, 0.0, 10.0), 10.0, list[float]()
    for _ in range(3):
        breaker = circuit.failed(circuit.began(breaker, now), now, POLICY)
        waits.append(breaker.cool_down_s)
        now += breaker.cool_down_s
    assert waits == [20, 30, 30]


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = circuit.succeeded(circuit.failed(CLOSED, 0, POLICY))
    assert not circuit.failed(breaker, 0, POLICY).is_open


def test_calls_from_before_it_opened_change_nothing_and_a_lost_trial_frees_the_way() -> None:
    opened = Breaker(2, 0.0, 10.0)
    assert circuit.failed(opened, 5, POLICY) == opened
    trial = circuit.began(opened, 10)
    assert circuit.allows(circuit.gave_up(trial), 10)
    assert circuit.allows(trial, 20)


# --- selection --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ([Candidate("a", 2, 4), Candidate("b", 1, 4)], "b"),
        ([Candidate("a", 2, 4, weight=4), Candidate("b", 1, 4)], "a"),
        ([Candidate("a", 1, 4, loaded=False), Candidate("b", 1, 4, loaded=True)], "b"),
        ([Candidate("a", 1, 4, loaded=False), Candidate("b", 1, 4)], "b"),
        ([Candidate("a", 1, 4, loaded=True), Candidate("b", 1, 4, loaded=True, served_prefix=True)], "b"),
        ([Candidate("a", 1, 4, loaded=True), Candidate("b", 1, 4, served_prefix=True)], "a"),
        ([Candidate("a", 4, 4), Candidate("b", 7, 8)], "b"),
    ],
)
def test_least_outstanding_then_loaded_then_prefix(candidates: list[Candidate], best: str) -> None:
    for turn in range(4):
        assert ranked(candidates, turn)[0].upstream == best


def test_equals_take_turns_and_full_ones_are_left_out() -> None:
    equal = [Candidate(name, 0, 1) for name in "abc"]
    assert [ranked(equal, turn)[0].upstream for turn in range(4)] == ["a", "b", "c", "a"]
    assert ranked([Candidate("a", 1, 1)]) == []


def test_a_conversation_finds_who_served_its_prefix() -> None:
    prefixes = Prefixes(size=2)
    first = [{"role": "user", "content": "a"}]
    later = [*first, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    prefixes.note(prefix_hashes("m", {"messages": first}), "up")
    assert prefixes.last(prefix_hashes("m", {"messages": later})) == "up"
    assert prefixes.last(prefix_hashes("other", {"messages": later})) is None
    for text in "xy":
        prefixes.note(prefix_hashes("m", {"prompt": text}), "down")
    assert prefixes.last(prefix_hashes("m", {"messages": later})) is None


# --- fair queue -------------------------------------------------------------------------------------------------


def waiter(service: str, interactive: bool = True, number: int = 0) -> Waiter[int]:
    """A call that waits for `up`."""
    return Waiter(service, interactive, UP, number)


def drain(queue: FairQueue[int], grants: int) -> list[Waiter[int]]:
    """Grant slots one after the other, as if none came back."""
    in_work: Counter[str] = Counter()
    found: list[Waiter[int]] = []
    for _ in range(grants):
        got = queue.pop("up", in_work.__getitem__)
        if got is None:
            break
        in_work[got.service] += 1
        found.append(got)
    return found


def test_services_take_turns_whatever_they_have_queued() -> None:
    queue: FairQueue[int] = FairQueue(100)
    for number in range(20):
        queue.push(waiter("loud", number=number))
    queue.push(waiter("quiet", number=1))
    queue.push(waiter("quiet", number=2))
    order = [(w.service, w.payload) for w in drain(queue, 5)]
    assert order == [("loud", 0), ("quiet", 1), ("loud", 1), ("quiet", 2), ("loud", 2)]


def test_interactive_goes_first_and_bulk_keeps_one_grant_in_eight() -> None:
    queue: FairQueue[int] = FairQueue(100)
    for number in range(30):
        queue.push(waiter("a", True, number))
        queue.push(waiter("b", False, number))
    lanes = [w.interactive for w in drain(queue, 24)]
    assert lanes == ([True] * (GRANTS_PER_BULK - 1) + [False]) * 3


def test_a_full_queue_takes_from_the_one_who_has_most() -> None:
    queue: FairQueue[int] = FairQueue(4)
    loud = [waiter("loud", number=number) for number in range(4)]
    for each in loud:
        assert queue.push(each) is None
    assert queue.push(quiet := waiter("quiet")) is loud[3]
    assert queue.push(another := waiter("loud")) is another
    assert set(queue.waiters()) == {*loud[:3], quiet}
    bulk = FairQueue[int](1)
    bulk.push(waiting := waiter("a", False))
    assert bulk.push(waiter("a", True)) is waiting


def test_a_call_that_is_tried_again_keeps_its_place() -> None:
    queue: FairQueue[int] = FairQueue(10)
    both = frozenset({"up", "other"})
    for number in (2, 3, 4):
        queue.push(Waiter("a", True, both, number, since=number))
    queue.push(Waiter("a", True, UP, 1, since=1))
    queue.push(Waiter("a", True, both, 0, since=2.5))
    assert [w.payload for w in drain(queue, 9)] == [1, 2, 0, 3, 4]


def test_only_who_can_use_an_upstream_gets_it() -> None:
    queue: FairQueue[int] = FairQueue(10)
    queue.push(Waiter("a", True, frozenset({"other"}), 1))
    queue.push(Waiter("a", True, frozenset({"up", "other"}), 2))
    assert [w.payload for w in drain(queue, 5)] == [2]


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.just("push"), st.sampled_from("abc"), st.booleans(), st.sampled_from([UP, frozenset({"x", "up"})])
            ),
            st.tuples(st.just("pop"), st.sampled_from(["up", "x"])),
            st.tuples(st.just("leave"), st.integers(0, 50)),
        ),
        max_size=60,
    )
)
def test_nobody_is_lost_doubled_or_granted_after_leaving(steps: list[tuple[object, ...]]) -> None:
    queue: FairQueue[int] = FairQueue(8)
    inside: list[Waiter[int]] = []
    for number, step in enumerate(steps):
        match step:
            case ("push", str(service), bool(interactive), frozenset() as upstreams):
                new = Waiter(service, interactive, upstreams, number)
                displaced = queue.push(new)
                inside.append(new)
                if displaced is not None:
                    inside.remove(displaced)
            case ("pop", str(upstream)):
                got = queue.pop(upstream, lambda _: 0)
                can = [w for w in inside if upstream in w.upstreams]
                assert (got is None) == (not can)
                if got is not None:
                    inside.remove(got)
            case ("leave", int(which)) if inside:
                queue.remove(inside.pop(which % len(inside)))
            case _:
                pass
        assert set(queue.waiters()) == set(inside)
        assert len(queue) == len(inside) <= 8
