"""Whose turn it is: what waits for a free slot, what must run alone, and when to look again after an outage."""

import asyncio
import time
from collections.abc import Callable, Iterable

from streams.runtime.assignment import HeldPartition, Work
from streams.runtime.held_back import HeldBack
from streams.runtime.scheduling import Scheduler
from streams.runtime.solitude import Solitude
from streams.runtime.stage_metrics import StageMetrics

PARKED_BYTES = 64 * 1024 * 1024
"""What of the works that are held back may stand outside of their partitions' windows."""

WORK_BYTES = 4 * 1024
"""What a work takes besides its record's value, which it holds as read and as decoded."""


class Turns:
    """At most `concurrency` works are in their handlers at a time; one that may kill the process is there alone,
    among the works of all that share the `solitude`.

    `dispatch` is called when one that was held back may try again, `refill` when a partition's window has room
    because a work of it is held back.
    """

    def __init__(
        self,
        concurrency: int,
        metrics: StageMetrics,
        solitude: Solitude,
        dispatch: Callable[[], None],
        refill: Callable[[HeldPartition], None],
    ) -> None:
        self._concurrency = concurrency
        self._metrics = metrics
        self._solitude = solitude
        self._dispatch = dispatch
        self._refill = refill
        self._parked_bytes = 0
        self._waiting: Scheduler[Work] = Scheduler()
        self._held_back: HeldBack[Work] = HeldBack()
        self._in_handler = 0
        self._alone: Work | None = None
        self._next_alone: Work | None = None
        self._wake: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether another work may start."""
        return self._in_handler < self._concurrency and self._alone is None and self._solitude.is_open_to(self)

    @property
    def wait_for_others(self) -> bool:
        """Whether works wait because of another worker's: one that is alone, or those that must end before ours is."""
        if not self._solitude.is_open_to(self):
            return True
        return self._next_alone is not None and self._solitude.in_handlers > self._in_handler

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
        if work is not None:
            return work
        if self._alone is None:  # what was to be alone was dropped, or is held back
            self._solitude.give_up(self)
        if (work := self._waiting.next()) is not None:
            self._unpark(work)  # only now: what is released all at once must not fill the window either
            self._metrics.waiting(work.lane, -1)
        return work

    def must_wait_for_all(self, work: Work) -> bool:
        """Tell whether the work that was taken is to be alone and is not yet; then it is the next one."""
        if not (work.alone and self._solitude.in_handlers):
            return False
        self._solitude.claim(self)
        self._next_alone = work
        return True

    def may_begin(self, work: Work) -> bool:
        """Tell whether the work that was taken may start now; it is held back where it may not."""
        if self._held_back.may_start(work, time.monotonic()):
            return True
        self._held_back.hold(work)
        self._park(work)
        self._metrics.waiting(work.lane, 1)
        self._wake_when_due()
        return False

    def begin(self, work: Work) -> None:
        """Take note that a work goes into its handler."""
        if work.alone:
            self._solitude.claim(self)
            self._alone = work
        work.in_handler = True
        self._in_handler += 1
        self._solitude.enter()

    def leave(self, work: Work) -> None:
        """Take note that a work has left its handler; one that is there alone keeps others out until `release`."""
        work.in_handler = False
        self._in_handler -= 1
        self._solitude.leave()

    def release(self, work: Work) -> None:
        """Let others in again behind a work that was alone."""
        if self._alone is work:
            self._alone = None
            self._solitude.give_up(self)

    def failed(self, work: Work, reason: str) -> None:
        """What a work depends on is down: it is held back, and with it what depends on the same."""
        self._held_back.failed(work, reason, time.monotonic())
        self._park(work)
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
        self._unpark(work)
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
            self._solitude.give_up(self)

    def _queue(self, works: Iterable[Work]) -> None:
        # They were counted as waiting all along.
        for work in works:
            self._waiting.add(work.lane, work.request.job.service, work)

    def _park(self, work: Work) -> None:
        # What waits for one dependency must not fill the window that others of the partition share.
        size = 2 * len(work.record.value or b"") + WORK_BYTES
        if self._parked_bytes + size > PARKED_BYTES:
            return
        self._parked_bytes += size
        work.parked_bytes = size
        work.held.park(work.offset, parked=True)
        self._refill(work.held)

    def _unpark(self, work: Work) -> None:
        if work.parked_bytes:
            self._parked_bytes -= work.parked_bytes
            work.parked_bytes = 0
            work.held.park(work.offset, parked=False)

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
