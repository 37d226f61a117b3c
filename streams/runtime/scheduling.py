"""Which of the waiting requests is next. Pure.

Interactive requests go first, but while others wait too, every eighth choice is theirs (bulk and
replay in turn). Inside a lane, services take turns, so that one service's flood does not hold up
another's single request.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from schemas.events import Lane

T = TypeVar("T")

SHARE = 8
"""One choice in this many goes to the lanes behind `interactive`."""


class Scheduler(Generic[T]):
    """Holds what waits, and chooses."""

    def __init__(self) -> None:
        self._interactive: _Turns[T] = _Turns()
        self._behind: OrderedDict[str, _Turns[T]] = OrderedDict((lane, _Turns()) for lane in (Lane.BULK, Lane.REPLAY))
        self._since_behind = 0

    def __len__(self) -> int:
        return len(self._interactive) + sum(len(turns) for turns in self._behind.values())

    def add(self, lane: str, service: str, item: T) -> None:
        """Let an item wait."""
        self._behind.get(lane, self._interactive).add(service, item)

    def remove(self, lane: str, service: str, item: T) -> bool:
        """Take an item out; tell whether it was there."""
        return self._behind.get(lane, self._interactive).remove(service, item)

    def next(self) -> T | None:
        """Take out the next item; None when nothing waits."""
        behind = any(self._behind.values())
        if self._interactive and not (behind and self._since_behind >= SHARE - 1):
            self._since_behind = self._since_behind + 1 if behind else 0
            return self._interactive.next()
        if not behind:
            return None
        self._since_behind = 0
        lane = next(name for name, turns in self._behind.items() if turns)
        self._behind.move_to_end(lane)
        return self._behind[lane].next()


class _Turns(Generic[T]):
    """Items of several services, taken in turns; empty is false."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, service: str, item: T) -> None:
        self._waiting.setdefault(service, deque()).append(item)
        self._count += 1

    def remove(self, service: str, item: T) -> bool:
        queue = self._waiting.get(service)
        if queue is None or item not in queue:
            return False
        queue.remove(item)
        if not queue:
            del self._waiting[service]
        self._count -= 1
        return True

    def next(self) -> T:
        service, queue = self._waiting.popitem(last=False)
        item = queue.popleft()
        if queue:
            self._waiting[service] = queue  # to the end: the others first
        self._count -= 1
        return item
