"""One attempt at a request: its handler's verdict, and the end that is made of it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from schemas.errors import Outage, Permanent
from streams.logs import get_logger
from streams.runtime.assignment import HeldPartition, Work
from streams.runtime.committer import Committer
from streams.runtime.handling import Handling
from streams.runtime.processor import Processor, Result
from streams.runtime.retry import DeadLetter, Retry, WaitForRecovery
from streams.runtime.spent import cancelled_events, failed_events, uncounted_events, withdrawn_event
from streams.runtime.stage_metrics import StageMetrics
from streams.runtime.stage_spans import stage_span, tell_verdict
from streams.runtime.turns import Turns

log = get_logger(__name__)

_CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Loop:
    """What an attempt asks of the loop that it runs in."""

    dispatch: Callable[[], None]
    finish: Callable[[HeldPartition, int], None]
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Attempts:
    """Begins attempts, publishes what came of them, and breaks them off."""

    def __init__(
        self,
        processor: Processor,
        group: str,
        handling: Handling,
        turns: Turns,
        metrics: StageMetrics,
        committer: Committer,
        loop: Loop,
    ) -> None:
        self._processor = processor
        self._kind = processor.topics.kind
        self._group = group
        self._handling = handling
        self._turns = turns
        self._metrics = metrics
        self._committer = committer
        self._loop = loop

    def begin(self, work: Work) -> None:
        """Count an attempt and run it."""
        self._turns.begin(work)
        work.attempt = work.held.begin(work.offset)
        work.attempt_committed = work.begun = False
        work.spent = None
        work.started_ms = _now_ms()
        waited_ms = work.started_ms - work.request.requested_at_ms if work.attempt == 1 else None
        self._metrics.started(work.lane, work.request.job.module, waited_ms)
        work.task = self._loop.spawn(self._run(work))

    async def withdraw(self, work: Work) -> None:
        """Make an end of a request that was cancelled before an attempt began."""
        work.dropped = _CANCELLED
        await self._handling.publish_usage(work, [withdrawn_event(work, _now_ms())])
        self._finish_cancelled(work)

    def cancel(self, work: Work) -> None:
        """Break a request off that its service cancelled."""
        # Work that is only being published is done: ingress has written `cancelled` first or it has not. What waits
        # for its turn ends when that comes.
        if work.in_handler:
            self._break_off(work, _CANCELLED)
        else:
            self._turns.let_go(work)

    def drop(self, work: Work, reason: str) -> None:
        """Let a request go without an end: it is, or will be, another member's."""
        work.dropped = reason
        if work.timer is not None:
            work.timer.cancel()
        if work.in_handler:
            self._break_off(work, reason)
        else:
            self._turns.remove(work)

    async def _run(self, work: Work) -> None:
        with stage_span(work, self._group) as work.span:
            await self._attempted(work)

    async def _attempted(self, work: Work) -> None:
        work.begun = True
        try:
            if work.dropped:  # between its start and here
                raise asyncio.CancelledError
            verdict = await self._handling.attempt(work)
        except asyncio.CancelledError:
            verdict = None
        self._leave_handler(work)
        if verdict is None or work.dropped:  # a handler may make another end of it than to be cancelled
            self._turns.release(work)
            await self._broken_off(work)
            return
        tell_verdict(work.span, verdict)
        if isinstance(verdict, WaitForRecovery):
            self._turns.release(work)
            used = uncounted_events(work, _now_ms())
            self._on_outage(work, verdict.error)
            await self._handling.publish_usage(work, used)
            return
        self._turns.answered(work)
        self._metrics.paused(bool(self._turns.outage))
        if work.alone:
            await self._conclude_alone(work, verdict)
            return
        self._loop.dispatch()
        await self._conclude(work, verdict)

    async def _conclude_alone(self, work: Work, verdict: Result | Retry | DeadLetter) -> None:
        # The next one alone may be what kills the process. If this one's end were not committed by then, it would
        # count as one more death, the third: a job that is done would fail as well.
        try:
            await self._conclude(work, verdict)
            if not isinstance(verdict, Retry):
                await self._committer.flush()
        finally:
            self._turns.release(work)
            self._loop.dispatch()

    async def _conclude(self, work: Work, verdict: Result | Retry | DeadLetter) -> None:
        if isinstance(verdict, Result):
            try:
                await self._handling.publish_done(work, verdict)
                self._metrics.ended(work.lane, "done", work.request.requested_at_ms)
                self._loop.finish(work.held, work.offset)
                self._settle(work)
                return
            except Permanent as e:
                verdict = DeadLetter(e)
        if isinstance(verdict, DeadLetter):
            await self._handling.publish_failed(work, verdict.error)
            self._metrics.ended(work.lane, "failed", work.request.requested_at_ms)
            self._loop.finish(work.held, work.offset)
            self._settle(work)
            return
        self._metrics.retried(work.lane)
        used = failed_events(work, _now_ms())
        loop = asyncio.get_running_loop()
        work.timer = loop.call_later(verdict.after_s, self._again, work)
        await self._handling.publish_usage(work, used)

    def _again(self, work: Work) -> None:
        work.timer = None
        if not work.dropped:
            self._turns.wait(work)
            self._loop.dispatch()

    def _leave_handler(self, work: Work) -> None:
        self._turns.leave(work)
        self._metrics.left(work.lane, _now_ms() - work.started_ms)

    def _on_outage(self, work: Work, error: Outage) -> None:
        work.held.take_back(work.offset)
        self._metrics.paused(True)
        log.warning("stage.paused", stage=self._kind, of=work.dependency, code=error.code, reason=error.message)
        self._turns.failed(work, error.message)
        self._loop.dispatch()

    async def _broken_off(self, work: Work) -> None:
        self._turns.undecided(work)
        if work.dropped == _CANCELLED:
            await self._handling.publish_usage(work, cancelled_events(work, _now_ms()))
            self._finish_cancelled(work)
        else:
            work.held.take_back(work.offset)
            self._loop.dispatch()
            await self._handling.publish_usage(work, uncounted_events(work, _now_ms()))

    def _finish_cancelled(self, work: Work) -> None:
        self._metrics.ended(work.lane, "cancelled", work.request.requested_at_ms)
        self._loop.finish(work.held, work.offset)
        self._settle(work)

    def _settle(self, work: Work) -> None:
        if self._processor.settle is not None:
            self._loop.spawn(self._settled(work))

    async def _settled(self, work: Work) -> None:
        # After the commit: a crash before it repeats the work, which then still has what the attempts kept.
        await self._committer.flush()
        await self._handling.settle(work)

    def _break_off(self, work: Work, reason: str) -> None:
        work.dropped = reason
        # A task that is cancelled before its first step never runs, and nobody would free its slot.
        if work.begun and work.task is not None:
            work.task.cancel()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
