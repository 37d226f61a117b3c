"""Whose turn it is: what waits for a free slot, what must run alone, and when to look again after an outage."""

import asyncio
import time
from collections.abc import Callable, Iterable

from streams.runtime.assignment import Work
from streams.runtime.held_back import HeldBack
from streams.runtime.scheduling import Scheduler
from streams.runtime.stage_metrics import StageMetrics


class Turns:
    """At most `concurrency` works are in their handlers at a time; one that may kill the process is there alone.

    `dispatch` is called when one that was held back may try again.
    """

    def __init__(self, concurrency: int, metrics: StageMetrics, dispatch: Callable[[], None]) -> None:
        self._concurrency = concurrency
        self._metrics = metrics
        self._dispatch = dispatch
        self._waiting: Scheduler[Work] = Scheduler()
        self._held_back: HeldBack[Work] = HeldBack()
        self._in_handler = 0
        self._alone: Work | None = None
        self._next_alone: Work | None = None
        self._wake: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether another work may start."""
        return self._in_handler < self._concurrency and self._alone is None

    @property
    def wait_for_slots(self) -> bool:
        """Whether works wait for nothing but their turn."""
        return len(self._waiting) > 0 or self._next_alone is not None

    @property
    def outage(self) -> str:
        """What works are held back for; empty when nothing is down."""
        return self._held_back.reason

    def wait(self, work: Work) -> None:
        """Queue a work for its turn."""
        self._waiting.add(work.lane, work.request.job.service, work)
        self._metrics.waiting(work.lane, 1)

    def next(self) -> Work | None:
        """Take the work whose turn it is; None when nothing waits."""
        work, self._next_alone = self._next_alone, None
        if work is None and (work := self._waiting.next()) is not None:
            self._metrics.waiting(work.lane, -1)
        return work

    def must_wait_for_all(self, work: Work) -> bool:
        """Tell whether the work that was taken is to be alone and is not yet; then it is the next one."""
        if not (work.alone and self._in_handler):
            return False
        self._next_alone = work
        return True

    def may_begin(self, work: Work) -> bool:
        """Tell whether the work that was taken may start now; it is held back where it may not."""
        if self._held_back.may_start(work, time.monotonic()):
            return True
        self._held_back.hold(work)
        self._metrics.waiting(work.lane, 1)
        self._wake_when_due()
        return False

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

    def failed(self, work: Work, reason: str) -> None:
        """What a work depends on is down: it is held back, and with it what depends on the same."""
        self._held_back.failed(work, reason, time.monotonic())
        self._metrics.waiting(work.lane, 1)
        self._wake_when_due()

    def answered(self, work: Work) -> None:
        """What a work depends on is there: others that were held back for it wait for their turns again."""
        released = self._held_back.answered(work, time.monotonic())
        if released is not None:
            self._queue(released)
            self._wake_when_due()

    def undecided(self, work: Work) -> None:
        """A work was broken off before it could tell."""
        self._held_back.undecided(work)
        self._wake_when_due()

    def remove(self, work: Work) -> None:
        """Let a work wait no longer, if it does."""
        if self._waiting.remove(work.lane, work.request.job.service, work) or self._held_back.remove(work):
            self._metrics.waiting(work.lane, -1)

    def let_go(self, work: Work) -> None:
        """Give a work that was held back its turn all the same: it is not going to start."""
        if self._held_back.remove(work):
            self._queue([work])

    def forget_dropped(self) -> None:
        """Keep no turn for a work that was dropped."""
        if self._next_alone is not None and self._next_alone.dropped:
            self._next_alone = None

    def _queue(self, works: Iterable[Work]) -> None:
        # They were counted as waiting all along.
        for work in works:
            self._waiting.add(work.lane, work.request.job.service, work)

    def _wake_when_due(self) -> None:
        due_at = self._held_back.due_at()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if due_at is not None:
            after_s = max(0.0, due_at - time.monotonic()) + 0.001
            self._wake = asyncio.get_running_loop().call_later(after_s, self._look)

    def _look(self) -> None:
        self._wake = None
        self._queue(self._held_back.due(time.monotonic()))
        self._wake_when_due()
        self._dispatch()
