"""What waits until something that it depends on is back."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.held_back import HeldBack


@dataclass(eq=False)
class Job:
    """A work as far as it matters here."""

    dependency: str = ""
    outages: int = 0
    not_before: float = 0.0


@pytest.fixture
def held() -> HeldBack[Job]:
    """Nothing held back yet."""
    return HeldBack()


def test_what_is_down_holds_back_its_own(held: HeldBack[Job]) -> None:
    held.failed(Job("a"), "a is away", 0)
    assert not held.may_start(Job("a"), 0.5)
    assert held.may_start(Job("b"), 0.5)
    assert held.reason == "a: a is away"


def test_the_next_probe_is_one_that_did_not_fail(held: HeldBack[Job]) -> None:
    bad, good = Job(), Job()
    held.failed(bad, "away", 0)
    held.hold(good)
    assert held.due(0.5) == []
    assert held.due_at() == 1.0
    assert held.due(1.0) == [good]
    assert held.may_start(good, 1.0)
    assert held.answered(good, 1.0) == [bad]
    assert not held.reason


def test_one_that_failed_often_waits_longer_than_what_it_depends_on(held: HeldBack[Job]) -> None:
    bad, good = Job(), Job()
    for at in (0, 1, 3):
        held.failed(bad, "away", at)
        held.remove(bad)
        assert held.answered(good, at) == []
    held.failed(bad, "away", 7)
    assert held.answered(good, 7.5) == []
    assert held.due_at() == 15.0
    assert held.due(14.9) == []
    assert held.due(15.0) == [bad]
    assert len(held) == 0


def test_while_a_probe_is_under_way_there_is_no_second(held: HeldBack[Job]) -> None:
    one, two = Job(), Job()
    held.failed(one, "away", 0)
    held.hold(two)
    probe = held.due(5)[0]
    assert held.may_start(probe, 5)
    assert held.due(5) == []
    assert held.due_at() is None
    held.undecided(probe)
    assert held.due(5) != []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["fail", "hold", "answer", "tick"])), max_size=60))
def test_nothing_is_forgotten(steps: list[tuple[str, str]]) -> None:
    """Whatever happens: every work that is held comes back once what it depends on answers and its time has come."""
    held: HeldBack[Job] = HeldBack()
    inside: set[int] = set()
    every: dict[int, Job] = {}
    now = 0.0
    for name, what in steps:
        now += 0.5
        job = Job(name)
        every[id(job)] = job
        if what == "fail":
            held.failed(job, "away", now)
            inside.add(id(job))
        elif what == "hold":
            held.hold(job)
            inside.add(id(job))
        elif what == "answer":
            inside -= {id(one) for one in held.answered(job, now) or ()}
        else:
            inside -= {id(one) for one in held.due(now)}
        assert {id(one) for one in held} == inside
        assert len(held) == len(inside)
    for name in "ab":
        inside -= {id(one) for one in held.answered(Job(name), now) or ()}
    inside -= {id(one) for one in held.due(now + 100)}
    assert not inside
