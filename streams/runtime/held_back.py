"""What waits until something that it depends on is back. Pure; times are seconds of any one clock.

One circuit for each dependency, so that a model whose servers are down holds back its own requests and no others.
A request that met an outage waits a while of its own besides: with the others it would be the first to try again,
and fail, whenever one of those came through.
"""

import heapq
import itertools
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from streams.runtime.circuit import Circuit
from streams.runtime.retry import probe_pause


class Dependent(Protocol):
    """A work as far as it matters here."""

    dependency: str
    outages: int
    not_before: float


W = TypeVar("W", bound=Dependent)


class HeldBack(Generic[W]):
    """The works that wait for a dependency, and which dependencies are held to be down."""

    def __init__(self) -> None:
        self._circuits: dict[str, Circuit] = {}
        self._works: dict[str, _Soonest[W]] = {}

    def __len__(self) -> int:
        return sum(len(works) for works in self._works.values())

    @property
    def reason(self) -> str:
        """What is down, for people; empty when nothing is."""
        told = (f"{name}: {circuit.reason}" if name else circuit.reason for name, circuit in self._circuits.items())
        return "; ".join(told)

    def may_start(self, work: W, now: float) -> bool:
        """Tell whether a work may start; while its dependency is down, a True makes it the probe."""
        circuit = self._circuits.get(work.dependency)
        return circuit is None or circuit.may_start(now)

    def hold(self, work: W) -> None:
        """Keep a work until its dependency is back."""
        self._works.setdefault(work.dependency, _Soonest()).add(work)

    def failed(self, work: W, reason: str, now: float) -> None:
        """A work met an outage: its dependency is down, and it is kept."""
        self._circuits.setdefault(work.dependency, Circuit()).failed(reason, now)
        work.outages += 1
        work.not_before = now + probe_pause(work.outages)
        self.hold(work)

    def answered(self, work: W, now: float) -> list[W] | None:
        """A work came through, whatever became of it; return those that may go on now, None where nothing was down."""
        if self._circuits.pop(work.dependency, None) is None:
            return None
        return self._release(work.dependency, now)

    def undecided(self, work: W) -> None:
        """A work ended without telling (cancelled): if it was the probe, another may be."""
        if (circuit := self._circuits.get(work.dependency)) is not None:
            circuit.undecided()

    def due(self, now: float) -> list[W]:
        """Return the works that may go on now: one probe for what is down, all for what is back."""
        found: list[W] = []
        for name in tuple(self._works):
            if name not in self._circuits:
                found += self._release(name, now)
            elif self._probe_at(name) <= now:
                probe = self._works[name].first
                self.remove(probe)
                found.append(probe)
        return found

    def due_at(self) -> float | None:
        """Return when `due` has something next; None when nothing that time brings is waited for."""
        times = [self._probe_at(name) for name in self._works]
        return min((at for at in times if at != _NEVER), default=None)

    def remove(self, work: W) -> bool:
        """Let a work wait no longer; tell whether it did."""
        works = self._works.get(work.dependency)
        if works is None or not works.remove(work):
            return False
        if not works:
            del self._works[work.dependency]
        return True

    def __iter__(self) -> Iterator[W]:
        return (work for works in self._works.values() for work in works)

    def _probe_at(self, name: str) -> float:
        circuit, soonest = self._circuits.get(name), self._works[name].first.not_before
        if circuit is None:
            return soonest
        return _NEVER if circuit.is_probing else max(soonest, circuit.probe_at)

    def _release(self, name: str, now: float) -> list[W]:
        works, found = self._works.get(name), list[W]()
        while works and works.first.not_before <= now:
            found.append(works.first)
            works.remove(works.first)
        if works is not None and not works:
            del self._works[name]
        return found


class _Soonest(Generic[W]):
    """Works by when they may try again, of several the one that came first; empty is false.

    Thousands may wait for one dependency: adding and taking out costs next to nothing.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, W]] = []
        self._numbers: dict[W, int] = {}
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[W]:
        return iter(tuple(self._numbers))

    @property
    def first(self) -> W:
        """The work that may try again first."""
        while self._numbers.get(self._queue[0][2]) != self._queue[0][1]:  # it was taken out
            heapq.heappop(self._queue)
        return self._queue[0][2]

    def add(self, work: W) -> None:
        """Add a work; its `not_before` stays as it is until it is taken out."""
        self._numbers[work] = next(self._count)
        heapq.heappush(self._queue, (work.not_before, self._numbers[work], work))

    def remove(self, work: W) -> bool:
        """Take a work out; tell whether it was there."""
        return self._numbers.pop(work, None) is not None


_NEVER = float("inf")
