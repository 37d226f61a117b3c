"""What calls used: estimates where the upstream does not count, and delivery to the log that survives outages."""

import asyncio
import time
from dataclasses import dataclass

from ingress.chat.requests import Asked, characters
from processors.llm.pool.answers import Answer
from schemas.errors import GatewayError, Outage
from schemas.events import Lane, Usage, UsageEvent
from schemas.ids import usage_id
from schemas.topics import USAGE_EVENTS
from streams.log.protocols import Headers, Publisher
from streams.logs import get_logger
from streams.metrics import CHAT_CALLS, CHAT_USAGE_PENDING

log = get_logger(__name__)

MODULE = "chat"
DONE, PARTIAL, FAILED = "done", "partial", "failed"

_FIRST_GUESS = 0.3  # tokens a character
_FIRST_WEIGHT = 200.0  # characters
_MEMORY = 0.99  # what each call leaves of the weight of those before
_AGAIN_S = (0.2, 5.0)
_MOST_PENDING = 20_000
_CLOSE_S = 6.0


@dataclass(slots=True)
class _Ratio:
    characters: float = _FIRST_WEIGHT
    tokens: float = _FIRST_WEIGHT * _FIRST_GUESS


class PromptRatios:
    """Each model's running ratio of prompt tokens to characters."""

    def __init__(self) -> None:
        self._ratios: dict[str, _Ratio] = {}

    def learn(self, model: str, characters: int, tokens: int) -> None:
        """Take in a call that the upstream has counted."""
        ratio = self._ratios.setdefault(model, _Ratio())
        ratio.characters = ratio.characters * _MEMORY + characters
        ratio.tokens = ratio.tokens * _MEMORY + tokens

    def estimate(self, model: str, characters: int) -> int:
        """Return how many tokens a prompt probably had."""
        ratio = self._ratios.get(model) or _Ratio()
        return max(1, round(characters * ratio.tokens / ratio.characters))


class Meter:
    """Turns what calls used into `usage.events`. Nothing waits for it; `close` waits for what is not delivered yet."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._ratios = PromptRatios()
        self._pending: set[asyncio.Task[None]] = set()

    def ended(self, asked: Asked, answer: Answer | None, outcome: str, work_s: float) -> Usage:
        """Tell the ledger about a call that ended, and return what it used; `answer` is closed, or None."""
        CHAT_CALLS.labels(asked.call.dialect, asked.call.task, outcome).inc()
        event = UsageEvent(
            event_id=usage_id(asked.request_id, 0, asked.call.task, 1),
            request_id=asked.request_id,
            service=asked.caller.service,
            key_id=asked.caller.key_id,
            module=MODULE,
            step=asked.call.task,
            attempt=1,
            model=answer.model if answer else asked.model,
            upstream=answer.upstream if answer else "",
            lane=Lane.INTERACTIVE,
            outcome=outcome,
            usage=self._usage(asked, answer, work_s),
            measured_at_ms=time.time_ns() // 1_000_000,
            final=True,
        )
        if len(self._pending) >= _MOST_PENDING:
            log.error("chat.usage_lost", request_id=asked.request_id, pending=len(self._pending))
            return event.usage
        self.keep(asyncio.create_task(self._deliver(event, asked.headers)))
        return event.usage

    def prompt_tokens(self, model: str, characters: int) -> int:
        """Return how many tokens a prompt of a model probably has."""
        return self._ratios.estimate(model, characters)

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

    def _dropped(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        CHAT_USAGE_PENDING.set(len(self._pending))
        if not task.cancelled():
            task.exception()  # read, so that it is not reported: whoever waits for the task has it too

    def _usage(self, asked: Asked, answer: Answer | None, work_s: float) -> Usage:
        if answer is None:
            return Usage(bytes_in=len(asked.raw))
        used, prompt = answer.used, answer.used.prompt_tokens
        read = characters(asked.call)
        if used.counted:
            self._ratios.learn(answer.model, read, prompt)
        estimated = not used.counted and not prompt
        return Usage(
            prompt_tokens=self._ratios.estimate(answer.model, read) if estimated else prompt,
            completion_tokens=used.completion_tokens,
            work_seconds=work_s,
            bytes_in=len(asked.raw),
            estimated=estimated,
        )

    async def _deliver(self, event: UsageEvent, headers: Headers) -> None:
        pause_s, longest_s = _AGAIN_S
        while True:
            try:
                await self._publisher.publish(USAGE_EVENTS, event.request_id, event, headers)
            except Outage:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)
            except GatewayError as e:
                log.error("chat.usage_refused", request_id=event.request_id, code=e.code)
                return
            else:
                return
