"""The queue in front of the upstreams, fair over services. Pure: no clock, no event loop.

- Interactive calls go first; of eight grants in a row at least one is for the other lanes, if they wait.
- Within a lane the service with the fewest calls in work is next, then the one that was served longest ago;
  within a service the call that came first (`since`), so that one that is tried again keeps its place.
- At the bound, a service that has little in the queue takes the place of the newest call of the one that has
  most: a noisy neighbour is refused rather than its victim. Interactive calls displace bulk ones first.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from schemas.events import Lane

T = TypeVar("T")

GRANTS_PER_BULK = 8


@dataclass(slots=True, eq=False)
class Waiter(Generic[T]):
    """One call that waits for a slot on any of `upstreams`; `payload` is the caller's own, `since` when it came."""

    service: str
    interactive: bool
    upstreams: frozenset[str]
    payload: T
    since: float = 0.0
    gone: bool = field(default=False)


class FairQueue(Generic[T]):
    """Holds at most `bound` waiters."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lanes: dict[bool, _LaneQueue[T]] = {True: _LaneQueue(), False: _LaneQueue()}
        self._since_bulk = 0

    def __len__(self) -> int:
        return sum(lane.length for lane in self._lanes.values())

    def waiting(self, interactive: bool) -> int:
        """Return how many wait in a lane."""
        return self._lanes[interactive].length

    def waiting_for(self, upstream: str, interactive: bool, most: int) -> int:
        """Return how many wait in a lane for a slot on an upstream; not more than `most`, where counting ends."""
        lane = self._lanes[interactive]
        return lane.waiting_for(upstream, most) if lane.length and most > 0 else 0

    def push(self, waiter: Waiter[T]) -> Waiter[T] | None:
        """Add a waiter. Returns who has to leave for it: another one, itself, or nobody."""
        displaced: Waiter[T] | None = None
        if len(self) >= self._bound:
            displaced = self._displaced_by(waiter)
            if displaced is None:
                return waiter
            self.remove(displaced)
        self._lanes[waiter.interactive].push(waiter)
        return displaced

    def pop(self, upstream: str, in_work: Callable[[str], int]) -> Waiter[T] | None:
        """Take the next waiter for a slot on `upstream`; `in_work` tells how many calls of a service run."""
        first, second = self._lanes[True], self._lanes[False]
        bulk_turn = self._since_bulk >= GRANTS_PER_BULK - 1
        for lane in (second, first) if bulk_turn else (first, second):
            waiter = lane.pop(upstream, in_work)
            if waiter is not None:
                self._since_bulk = 0 if lane is second or not second.length else self._since_bulk + 1
                return waiter
        return None

    def remove(self, waiter: Waiter[T]) -> None:
        """Take out a waiter that left; once more changes nothing."""
        if not waiter.gone:
            waiter.gone = True
            self._lanes[waiter.interactive].count_out(waiter)

    def waiters(self) -> Iterator[Waiter[T]]:
        """Yield all that wait."""
        for lane in self._lanes.values():
            yield from lane.waiters()

    def _displaced_by(self, waiter: Waiter[T]) -> Waiter[T] | None:
        if waiter.interactive and self._lanes[False].length:
            return self._lanes[False].newest_of_largest()
        lane = self._lanes[waiter.interactive]
        largest = lane.largest()
        if largest is None or lane.count(largest) <= lane.count(waiter.service) + 1:
            return None
        return lane.newest_of_largest()


class _LaneQueue(Generic[T]):
    def __init__(self) -> None:
        self.length = 0
        self._counts: dict[str, int] = {}
        # Services in the order in which they were served last; calls by the set of upstreams that can take them.
        self._services: dict[str, dict[frozenset[str], deque[Waiter[T]]]] = {}

    def push(self, waiter: Waiter[T]) -> None:
        queues = self._services.setdefault(waiter.service, {})
        queue = queues.setdefault(waiter.upstreams, deque())
        at = len(queue)
        while at and queue[at - 1].since > waiter.since:  # rarely more than none
            at -= 1
        queue.insert(at, waiter)
        self._counts[waiter.service] = self._counts.get(waiter.service, 0) + 1
        self.length += 1

    def pop(self, upstream: str, in_work: Callable[[str], int]) -> Waiter[T] | None:
        if not self.length:
            return None
        best: tuple[int, str, deque[Waiter[T]]] | None = None
        for service, queues in self._services.items():
            if best is not None and in_work(service) >= best[0]:
                continue
            queue = self._oldest(queues, upstream)
            if queue is not None:
                best = (in_work(service), service, queue)
        if best is None:
            return None
        _, service, queue = best
        waiter = queue.popleft()
        waiter.gone = True
        self._services[service] = self._services.pop(service)  # last in the order of turns
        self.count_out(waiter)
        return waiter

    def count(self, service: str) -> int:
        return self._counts.get(service, 0)

    def largest(self) -> str | None:
        return max(self._counts, key=lambda service: self._counts[service], default=None)

    def newest_of_largest(self) -> Waiter[T] | None:
        service = self.largest()
        if service is None:
            return None
        # Any of its queues will do: the newest call of one of them waits at its end.
        for queue in self._services[service].values():
            while queue and queue[-1].gone:
                queue.pop()
            if queue:
                return queue[-1]
        return None

    def count_out(self, waiter: Waiter[T]) -> None:
        self.length -= 1
        self._counts[waiter.service] -= 1
        if not self._counts[waiter.service]:
            del self._counts[waiter.service]
            del self._services[waiter.service]

    def waiting_for(self, upstream: str, most: int) -> int:
        found = 0
        for queues in self._services.values():
            for upstreams, queue in queues.items():
                if upstream in upstreams:
                    found += sum(1 for _ in islice((w for w in queue if not w.gone), most - found))
        return found

    def waiters(self) -> Iterator[Waiter[T]]:
        for queues in self._services.values():
            for queue in queues.values():
                yield from (waiter for waiter in queue if not waiter.gone)

    @staticmethod
    def _oldest(queues: dict[frozenset[str], deque[Waiter[T]]], upstream: str) -> deque[Waiter[T]] | None:
        best: deque[Waiter[T]] | None = None
        for upstreams, queue in queues.items():
            if upstream not in upstreams:
                continue
            while queue and queue[0].gone:
                queue.popleft()
            if queue and (best is None or queue[0].since < best[0].since):
                best = queue
        return best


def is_interactive(lane: str) -> bool:
    """Tell whether a lane goes before the others."""
    return lane == Lane.INTERACTIVE
