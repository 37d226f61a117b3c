"""The calls to models that one attempt at a request makes, and what they used together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from processors.llm.errors import QueueFull, WaitedTooLong
from processors.llm.pool.answers import Answer
from processors.llm.pool.pool import Pool
from processors.llm.pool.values import Caller
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.merging import merged
from processors.llm.protocols.values import Dialect, Json, Task
from schemas.errors import Outage
from schemas.events import Usage
from schemas.payloads import json_payload
from streams.runtime.processor import Result


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; `finish` is `length` when it was cut at its limit."""

    text: str
    finish: str
    model: str
    upstream: str


class Asking:
    """The calls of one attempt, and what they used together, those included that broke off. `spent` is told of it."""

    def __init__(self, pool: Pool, caller: Caller, spent: Callable[[Result], None]) -> None:
        self._pool = pool
        self._caller = caller
        self._spent = spent
        self._estimated = False
        self._prompt = self._completion = 0
        self._work_s = 0.0
        self._last = Said("", "", "", "")

    @property
    def model(self) -> str:
        """The public name of the model that answered last."""
        return self._last.model

    async def ask(self, body: Json, dialect: Dialect = Dialect.OPENAI) -> Said:
        """Return the answer to one call."""
        call = checked_call(dialect, Task.CHAT, body)
        began = time.perf_counter()
        try:
            answer = await self._pool.open(call, self._caller)
        except (QueueFull, WaitedTooLong) as e:
            # A full pool is no fault of this job: it waits without losing an attempt.
            raise Outage(e.message, code=e.code, remedy=e.remedy) from e
        try:
            async with answer:
                chunks = [chunk async for batch in answer.batches() for chunk in batch]
        finally:
            self._count(answer, time.perf_counter() - began - answer.waited_s)
        part = next(iter(merged(chunks).parts), None)
        self._last = Said(
            part.text if part else "", (part.finish if part else "") or "stop", answer.model, answer.upstream
        )
        return self._last

    def _count(self, answer: Answer, work_s: float) -> None:
        self._work_s += work_s
        self._prompt += answer.used.prompt_tokens
        self._completion += answer.used.completion_tokens
        self._estimated = self._estimated or not answer.used.counted
        self._last = replace(self._last, model=answer.model, upstream=answer.upstream)
        self._spent(self.result(None))

    def result(self, body: Json | None, **more: Any) -> Result:
        """Return the stage's result with the usage so far."""
        usage = Usage(
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
            work_seconds=max(0.0, self._work_s),
            estimated=self._estimated,
        )
        outputs = (json_payload(orjson.dumps(body), "llm.json"),) if body is not None else ()
        return Result(outputs, usage, model=self._last.model, upstream=self._last.upstream, **more)
