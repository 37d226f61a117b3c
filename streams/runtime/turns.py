"""Whose turn it is: what waits for a free slot, what must run alone, and when to look again after an outage."""

import asyncio
import time
from collections.abc import Callable

from streams.runtime.assignment import Work
from streams.runtime.circuit import Circuit
from streams.runtime.scheduling import Scheduler
from streams.runtime.stage_metrics import StageMetrics


class Turns:
    """At most `concurrency` works are in their handlers at a time; one that may kill the process is there alone.

    `dispatch` is called when an open circuit lets one through.
    """

    def __init__(self, concurrency: int, circuit: Circuit, metrics: StageMetrics, dispatch: Callable[[], None]) -> None:
        self._concurrency = concurrency
        self._circuit = circuit
        self._metrics = metrics
        self._dispatch = dispatch
        self._waiting: Scheduler[Work] = Scheduler()
        self._in_handler = 0
        self._alone: Work | None = None
        self._next_alone: Work | None = None
        self._wake: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether another work may start."""
        return self._in_handler < self._concurrency and self._alone is None

    def wait(self, work: Work, *, first: bool = False) -> None:
        """Queue a work for its turn; `first`: before what waits already."""
        self._waiting.add(work.lane, work.request.job.service, work, first=first)
        self._metrics.waiting(work.lane, 1)

    def next(self) -> Work | None:
        """Take the work whose turn it is; None when nothing waits."""
        work, self._next_alone = self._next_alone, None
        if work is None and (work := self._waiting.next()) is not None:
            self._metrics.waiting(work.lane, -1)
        return work

    def may_begin(self, work: Work) -> bool:
        """Tell whether the work that was taken may start now; it waits on where it may not."""
        if work.alone and self._in_handler:
            self._next_alone = work
            return False
        now = time.monotonic()
        if not self._circuit.may_start(now):
            self.wait(work, first=True)
            self.wake_for_probe()
            return False
        return True

    def begin(self, work: Work) -> None:
        """Take note that a work goes into its handler."""
        if work.alone:
            self._alone = work
        work.in_handler = True
        self._in_handler += 1

    def leave(self, work: Work) -> None:
        """Take note that a work has left its handler; one that is there alone keeps others out until `release`."""
        work.in_handler = False
        self._in_handler -= 1

    def release(self, work: Work) -> None:
        """Let others in again behind a work that was alone."""
        if self._alone is work:
            self._alone = None

    def remove(self, work: Work) -> None:
        """Let a work wait no longer, if it does."""
        if self._waiting.remove(work.lane, work.request.job.service, work):
            self._metrics.waiting(work.lane, -1)

    def forget_dropped(self) -> None:
        """Keep no turn for a work that was dropped."""
        if self._next_alone is not None and self._next_alone.dropped:
            self._next_alone = None

    def wake_for_probe(self) -> None:
        """Dispatch again when the circuit lets one through."""
        loop = asyncio.get_running_loop()
        if self._wake is None or self._wake.cancelled() or self._wake.when() <= loop.time():
            after_s = self._circuit.until_probe(time.monotonic())
            self._wake = loop.call_later(after_s + 0.001, self._dispatch)
