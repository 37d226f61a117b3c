"""The pool's pure pieces: breaker, selection, fair queue; and the slots over them."""

import asyncio
import contextlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.llm.errors import NoUpstream
from processors.llm.pool import breaker as circuit
from processors.llm.pool.answers import Answer
from processors.llm.pool.breaker import CLOSED, Breaker, BreakerPolicy
from processors.llm.pool.estimates import Estimates
from processors.llm.pool.fair_queue import GRANTS_PER_BULK, FairQueue, Waiter
from processors.llm.pool.selection import Candidate, Prefixes, prefix_hashes, ranked
from processors.llm.pool.slots import QueuePolicy, Slot, Slots
from processors.llm.pool.tally import Tally
from processors.llm.pool.waiting import Second, taken_over
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Dialect, Task

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


# --- slots ------------------------------------------------------------------------------------------------------


class Servers:
    """Two upstreams whose limits and availability a test sets."""

    def __init__(self) -> None:
        self.limits = {"a": 1, "b": 1}
        self.up = {"a": True, "b": True}
        self.slots = Slots(self.limits.__getitem__, self.up.__getitem__, QueuePolicy(bound=10))

    def ask(self, service: str = "s", lane: str = "interactive") -> "asyncio.Task[Slot]":
        """Wait for any of the two."""
        return asyncio.create_task(self.slots.wait(("a", "b"), service, lane, 60))


async def turn() -> None:
    """Let the tasks that are ready run."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_released_slot_goes_to_who_waits() -> None:
    servers = Servers()
    first = servers.slots.take("a", "s")
    assert first is not None
    assert servers.slots.take("a", "s") is None
    waiting = servers.ask()
    await turn()
    first.release()
    first.release()
    assert (await waiting).upstream == "a"
    assert servers.slots.outstanding("a") == 1


async def test_a_grant_that_meets_a_cancellation_is_not_lost() -> None:
    servers = Servers()
    first = servers.slots.take("a", "s")
    assert first is not None
    leaving, staying = servers.ask(), servers.ask()
    await turn()
    first.release()
    leaving.cancel()
    assert (await staying).upstream == "a"
    assert servers.slots.outstanding("a") == 1


async def _second(servers: Servers) -> Answer:
    slot = servers.slots.take("a", "s")
    assert slot is not None
    await asyncio.sleep(0)
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    account = Tally(checked_call(Dialect.OPENAI, Task.CHAT, body), "m", ("a", "m"), Estimates(), [], float)
    return Answer(account, slot, [], None, str, str)


async def test_a_second_answer_that_meets_a_cancellation_gives_its_slot_back() -> None:
    servers, second = Servers(), Second()
    second.task = asyncio.create_task(_second(servers))
    await asyncio.wait([second.task])
    dropping = asyncio.create_task(second.drop())
    await asyncio.sleep(0)
    dropping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await dropping
    assert servers.slots.outstanding("a") == 0


async def test_a_caller_who_leaves_while_the_second_takes_over_leaves_no_slot_taken() -> None:
    servers = Servers()
    task = asyncio.create_task(_second(servers))
    task.add_done_callback(lambda _: taking.cancel())
    task.add_done_callback(lambda _: asyncio.get_running_loop().call_soon(taking.cancel))
    taking = asyncio.create_task(taken_over(task))
    await asyncio.wait([taking])
    assert taking.cancelled()
    assert servers.slots.outstanding("a") == 0


async def test_a_risen_limit_and_a_healed_upstream_are_handed_out() -> None:
    servers = Servers()
    servers.limits.update(a=0, b=0)
    one, two = servers.ask(), servers.ask()
    await turn()
    servers.limits["a"] = 1
    servers.slots.changed(("a",))
    assert (await one).upstream == "a"
    servers.limits["b"] = 1
    servers.up["b"] = False
    servers.slots.changed(("b",))
    assert not two.done()
    servers.up["b"] = True
    servers.slots.changed(("b",))
    assert (await two).upstream == "b"


async def test_who_waits_for_dead_upstreams_is_told() -> None:
    servers = Servers()
    servers.limits.update(a=0, b=0)
    waiting = servers.ask()
    await turn()
    servers.up.update(a=False, b=False)
    servers.slots.changed(("a", "b"))
    with pytest.raises(NoUpstream):
        await waiting
    assert servers.slots.waiting(interactive=True) == 0
