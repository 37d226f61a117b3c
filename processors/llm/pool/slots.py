"""Slots on the upstreams, within this process: no upstream gets more calls than its limit, the rest waits.

The limit of an upstream is asked for each time, so that a share of a limit that replicas have in common can
change while calls run; `changed` hands out what came free by that.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from processors.llm.errors import NoUpstream, QueueFull, WaitedTooLong
from processors.llm.pool.fair_queue import FairQueue, Waiter, is_interactive
from processors.llm.pool.shares import Demand

_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How many calls may wait in this process, and for how many seconds at most."""

    bound: int = 2000
    interactive_wait_s: float = 60.0
    bulk_wait_s: float = 600.0

    def wait_s(self, lane: str) -> float:
        """Return how long a call of a lane may wait."""
        return self.interactive_wait_s if is_interactive(lane) else self.bulk_wait_s


class Slot:
    """One call's place on an upstream, until `release`; releasing twice changes nothing."""

    __slots__ = ("_slots", "interactive", "service", "upstream", "waited_s")

    def __init__(self, slots: "Slots", upstream: str, service: str, interactive: bool, waited_s: float) -> None:
        self._slots: Slots | None = slots
        self.upstream = upstream
        self.service = service
        self.interactive = interactive
        self.waited_s = waited_s

    def release(self) -> None:
        """Give the place back; whoever waits for it has it before this returns."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back(self)


class Gate(Protocol):
    """Who may be called: an upstream that was down is open to one call at a time until that shows that it is back."""

    def usable(self, upstream: str) -> bool:
        """Tell whether a call may be sent now."""
        ...

    def began(self, upstream: str) -> None:
        """A call is sent."""
        ...

    def gave_up(self, upstream: str) -> None:
        """A call ended, or was never sent, without telling anything about the upstream."""
        ...


_Grant = asyncio.Future[str]


class Slots:
    """The slots of all upstreams. `limit` is asked with an upstream's name."""

    def __init__(self, limit: Callable[[str], int], gate: Gate, policy: QueuePolicy | None = None) -> None:
        self._limit = limit
        self._gate = gate
        self._policy = policy or QueuePolicy()
        self._queue: FairQueue[_Grant] = FairQueue(self._policy.bound)
        self._outstanding: dict[str, int] = {}
        self._interactive: dict[str, int] = {}  # of these
        self._in_work: dict[str, int] = {}
        self._grant_gap_s = 0.0  # how far grants to waiters lie apart, smoothed: for Retry-After
        self._granted_at = 0.0

    def outstanding(self, upstream: str) -> int:
        """Return how many calls an upstream has from this process."""
        return self._outstanding.get(upstream, 0)

    def waiting(self, interactive: bool) -> int:
        """Return how many calls wait."""
        return self._queue.waiting(interactive)

    def demand(self, upstream: str, most: int) -> Demand:
        """Return how many slots of an upstream this process uses or waits for, up to `most` in a lane."""
        interactive = self._interactive.get(upstream, 0)
        bulk = self.outstanding(upstream) - interactive
        return Demand(
            interactive + self._queue.waiting_for(upstream, True, most - interactive),
            bulk + self._queue.waiting_for(upstream, False, most - bulk),
        )

    def take(self, upstream: str, service: str, lane: str) -> Slot | None:
        """Take a slot at once; None when none is free. Nobody is overtaken: a slot is free only if nobody waits."""
        if self.outstanding(upstream) >= self._limit(upstream):
            return None
        interactive = is_interactive(lane)
        self._count(upstream, service, interactive, 1)
        return Slot(self, upstream, service, interactive, 0.0)

    async def wait(
        self, upstreams: Iterable[str], service: str, lane: str, wait_s: float, since: float | None = None
    ) -> Slot:
        """Wait for a slot on any of the upstreams; `since` is when the call came, by the event loop's clock.

        Raises QueueFull, WaitedTooLong, or NoUpstream when all of them go down meanwhile.
        """
        loop = asyncio.get_running_loop()
        granted: _Grant = loop.create_future()
        began = loop.time()
        waiter = Waiter(service, is_interactive(lane), frozenset(upstreams), granted, began if since is None else since)
        displaced = self._queue.push(waiter)
        if displaced is waiter:
            raise self._full()
        if displaced is not None and not displaced.payload.done():
            displaced.payload.set_exception(self._full())
        timer = loop.call_later(wait_s, self._waited_too_long, waiter, wait_s)
        try:
            upstream = await granted
        except BaseException:
            # A grant that came in the same moment as the cancellation goes to the next one.
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._gate.gave_up(granted.result())
                Slot(self, granted.result(), service, waiter.interactive, 0.0).release()
            self._queue.remove(waiter)
            raise
        finally:
            timer.cancel()
        return Slot(self, upstream, service, waiter.interactive, loop.time() - began)

    def give_back(self, slot: Slot) -> None:
        """Take a slot back (see `Slot.release`)."""
        self._count(slot.upstream, slot.service, slot.interactive, -1)
        self._hand_out(slot.upstream)

    def changed(self, upstreams: Iterable[str]) -> None:
        """Hand out slots after limits or availability changed; who waits for none but dead upstreams is told."""
        for upstream in upstreams:
            self._hand_out(upstream)
        for waiter in list(self._queue.waiters()):
            if not any(self._gate.usable(upstream) for upstream in waiter.upstreams):
                self._queue.remove(waiter)
                if not waiter.payload.done():
                    waiter.payload.set_exception(
                        NoUpstream("every upstream of the model went down while the call waited")
                    )

    def _hand_out(self, upstream: str) -> None:
        while len(self._queue) and self._gate.usable(upstream) and self.outstanding(upstream) < self._limit(upstream):
            waiter = self._queue.pop(upstream, self._in_work_of)
            if waiter is None:
                return
            if waiter.payload.done():
                continue
            self._count(upstream, waiter.service, waiter.interactive, 1)
            self._note_grant()
            self._gate.began(upstream)  # now, not when its task wakes: half open lets one through, not all that wait
            waiter.payload.set_result(upstream)

    def _count(self, upstream: str, service: str, interactive: bool, change: int) -> None:
        self._outstanding[upstream] = self._outstanding.get(upstream, 0) + change
        if interactive:
            self._interactive[upstream] = self._interactive.get(upstream, 0) + change
        left = self._in_work.get(service, 0) + change
        if left:
            self._in_work[service] = left
        else:
            self._in_work.pop(service, None)

    def _in_work_of(self, service: str) -> int:
        return self._in_work.get(service, 0)

    def _note_grant(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._granted_at:
            self._grant_gap_s += 0.1 * (min(now - self._granted_at, _LONGEST_RETRY_S) - self._grant_gap_s)
        self._granted_at = now

    def _retry_after_s(self) -> float:
        return min(max(len(self._queue) * self._grant_gap_s, _SHORTEST_RETRY_S), _LONGEST_RETRY_S)

    def _full(self) -> QueueFull:
        return QueueFull(
            f"{self._policy.bound} calls wait for a model server already",
            remedy="ask again after the seconds in Retry-After",
            retry_after_s=self._retry_after_s(),
        )

    def _waited_too_long(self, waiter: Waiter[_Grant], wait_s: float) -> None:
        self._queue.remove(waiter)
        if not waiter.payload.done():
            waiter.payload.set_exception(
                WaitedTooLong(
                    f"no model server came free within {wait_s:g} s",
                    remedy="ask again after the seconds in Retry-After",
                    retry_after_s=self._retry_after_s(),
                )
            )
