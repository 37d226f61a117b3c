"""What calls used, as events of the ledger, and their delivery to the log, which survives outages."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from ingress.chat.requests import Asked
from processors.llm.pool.answers import Answer
from processors.llm.pool.tally import Lost, Used
from schemas.errors import GatewayError, Outage
from schemas.events import Lane, Usage, UsageEvent
from schemas.ids import usage_id
from schemas.topics import USAGE_EVENTS
from streams.log.protocols import Headers, Publisher
from streams.logs import get_logger
from streams.metrics import CHAT_CALLS, CHAT_USAGE_PENDING

log = get_logger(__name__)

MODULE = "chat"
DONE, PARTIAL, FAILED, CANCELLED = "done", "partial", "failed", "cancelled"

_AGAIN_S = (0.2, 5.0)
_MOST_PENDING = 20_000
_CLOSE_S = 6.0


class Meter:
    """Turns what calls used into `usage.events`. Nothing waits for it; `close` waits for what is not delivered yet."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._pending: set[asyncio.Task[None]] = set()
        self._closed = False

    def ended(
        self, asked: Asked, answer: Answer | None, lost: Sequence[Lost], outcome: str, *, broken_off: bool
    ) -> Usage:
        """Tell the ledger about a call that ended, and return what it is charged.

        `answer` is closed, or None; `lost` are the attempts beside it. Where the call was `broken_off` before its
        answer began (its caller left, say), the attempt that ended by that is charged; every other is waste.
        """
        CHAT_CALLS.labels(asked.call.dialect, asked.call.task, outcome).inc()
        cut = next((each for each in lost if each.cut), None) if broken_off and answer is None else None
        served = answer or cut
        charged = Usage(bytes_in=len(asked.raw))
        if served is not None:
            charged = _usage(served.used, served.work_s, len(asked.raw))
        event = UsageEvent(
            event_id=usage_id(asked.request_id, 0, asked.call.task, 1),
            request_id=asked.request_id,
            service=asked.caller.service,
            key_id=asked.caller.key_id,
            module=MODULE,
            step=asked.call.task,
            attempt=1,
            model=served.model if served else asked.model,
            upstream=served.upstream if served else "",
            lane=Lane.INTERACTIVE,
            outcome=outcome,
            usage=charged,
            measured_at_ms=time.time_ns() // 1_000_000,
            final=True,
        )
        self._tell(event, asked)
        if lost:
            wasted = [each for each in lost if each is not cut]
            for attempt, each in enumerate(wasted, 2):
                self._tell(_waste(event, each, attempt), asked)
        return charged

    def _tell(self, event: UsageEvent, asked: Asked) -> None:
        if len(self._pending) >= _MOST_PENDING:
            log.error("chat.usage_lost", request_id=asked.request_id, pending=len(self._pending))
            return
        self.keep(asyncio.create_task(self._deliver(event, asked.headers)))

    def keep(self, task: asyncio.Task[None]) -> None:
        """Let a task finish that nobody waits for; `close` does."""
        self._pending.add(task)
        task.add_done_callback(self._dropped)
        CHAT_USAGE_PENDING.set(len(self._pending))

    async def close(self) -> None:
        """Wait a little for the log to take what is left, and give up the rest."""
        if self._pending:
            _, left = await asyncio.wait(self._pending, timeout=_CLOSE_S)
            if left:
                log.error("chat.usage_lost", pending=len(left))
            for task in left:
                task.cancel()
        self._closed = True

    def _dropped(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        CHAT_USAGE_PENDING.set(len(self._pending))
        if not task.cancelled():
            task.exception()  # read, so that it is not reported: whoever waits for the task has it too

    async def _deliver(self, event: UsageEvent, headers: Headers) -> None:
        pause_s, longest_s = _AGAIN_S
        while True:
            try:
                await self._publisher.publish(USAGE_EVENTS, event.request_id, event, headers)
            except Outage:
                if self._closed:  # the publisher ends, and nobody waits for us
                    log.error("chat.usage_lost", request_id=event.request_id)
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)
            except GatewayError as e:
                log.error("chat.usage_refused", request_id=event.request_id, code=e.code)
                return
            else:
                return


def _usage(used: Used, work_s: float, bytes_in: int) -> Usage:
    return Usage(
        prompt_tokens=used.prompt_tokens,
        completion_tokens=used.completion_tokens,
        work_seconds=work_s,
        bytes_in=bytes_in,
        estimated=not used.counted,
    )


def _waste(charged: UsageEvent, lost: Lost, attempt: int) -> UsageEvent:
    """Return the event of an attempt beside the one that is charged: an id of its own, and waste by its own word."""
    return replace(
        charged,
        event_id=usage_id(charged.request_id, 0, charged.step, attempt),
        attempt=attempt,
        model=lost.model,
        upstream=lost.upstream,
        outcome=CANCELLED if lost.cut else FAILED,
        usage=_usage(lost.used, lost.work_s, 0),
        waste=True,
        final=False,
    )
