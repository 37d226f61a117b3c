"""Slots on the upstreams within one process: who gets them, and that none is lost."""

import asyncio
import contextlib

import pytest

from processors.llm.errors import NoUpstream
from processors.llm.pool.answers import Answer
from processors.llm.pool.estimates import Estimates
from processors.llm.pool.shares import Demand
from processors.llm.pool.slots import QueuePolicy, Slot, Slots
from processors.llm.pool.tally import Tally
from processors.llm.pool.waiting import Second, taken_over
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Dialect, Task


class Servers:
    """Two upstreams whose limits and availability a test sets."""

    def __init__(self) -> None:
        self.limits = {"a": 1, "b": 1}
        self.up = {"a": True, "b": True}
        self.one_at_a_time = False
        self.slots = Slots(self.limits.__getitem__, self, QueuePolicy(bound=10))

    def usable(self, upstream: str) -> bool:
        """Tell whether it is up."""
        return self.up[upstream]

    def began(self, upstream: str) -> None:
        """Let nobody else through, where that is set."""
        self.up[upstream] = not self.one_at_a_time

    def gave_up(self, upstream: str) -> None:
        """Let the next one through."""
        self.up[upstream] = True

    def ask(self, service: str = "s", lane: str = "interactive") -> "asyncio.Task[Slot]":
        """Wait for any of the two."""
        return asyncio.create_task(self.slots.wait(("a", "b"), service, lane, 60))


async def turn() -> None:
    """Let the tasks that are ready run."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_released_slot_goes_to_who_waits() -> None:
    servers = Servers()
    first = servers.slots.take("a", "s", "interactive")
    assert first is not None
    assert servers.slots.take("a", "s", "interactive") is None
    waiting = servers.ask()
    await turn()
    first.release()
    first.release()
    assert (await waiting).upstream == "a"
    assert servers.slots.outstanding("a") == 1


async def test_a_grant_that_meets_a_cancellation_is_not_lost() -> None:
    servers = Servers()
    first = servers.slots.take("a", "s", "interactive")
    assert first is not None
    leaving, staying = servers.ask(), servers.ask()
    await turn()
    first.release()
    leaving.cancel()
    assert (await staying).upstream == "a"
    assert servers.slots.outstanding("a") == 1


async def _second(servers: Servers) -> Answer:
    slot = servers.slots.take("a", "s", "interactive")
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


async def test_one_call_at_a_time_is_let_through_to_an_upstream_that_was_down() -> None:
    servers = Servers()
    servers.limits.update(a=0, b=0)
    waiting = [servers.ask() for _ in range(3)]
    await turn()
    servers.one_at_a_time = True
    servers.limits["a"] = 3
    servers.slots.changed(("a",))
    assert servers.slots.outstanding("a") == 1
    waiting[0].cancel()  # in the moment of its grant: it was never sent, so another may be
    await asyncio.wait(waiting[:1])
    assert (await waiting[1]).upstream == "a"
    assert servers.slots.outstanding("a") == 1


async def test_what_a_process_could_use_is_told_by_lane_up_to_the_limit() -> None:
    servers = Servers()
    servers.limits["a"] = 2
    slots = servers.slots
    taken = [slots.take("a", "s", lane) for lane in ("interactive", "bulk")]
    waiting = [servers.ask(lane=lane) for lane in ("interactive", "bulk", "bulk", "bulk", "replay")]
    elsewhere = asyncio.create_task(slots.wait(("b",), "s", "bulk", 60))
    await turn()
    assert slots.demand("a", 100) == Demand(2, 5)
    assert slots.demand("a", 3) == Demand(2, 3)
    waiting[1].cancel()
    await turn()
    assert slots.demand("a", 100) == Demand(2, 4)
    for slot in taken:
        assert slot is not None
        slot.release()
    await turn()
    assert slots.demand("a", 100) == Demand(1, 3)
    for task in (*waiting, elsewhere):
        task.cancel()
