"""The calls to models that one attempt at a request makes, and what they used together.

Every call is streamed from the model server, whatever its caller asked for: an answer may then take as long as it
takes while tokens come, and what a broken-off one had used is known.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from processors.llm.errors import AnswerBroken, NoUpstream, QueueFull, WaitedTooLong
from processors.llm.pool.answers import Answer
from processors.llm.pool.pool import Pool
from processors.llm.pool.tally import Lost
from processors.llm.pool.values import Caller
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Call, Dialect, Json, Task
from processors.llm.upstream_answer import TOO_LONG
from schemas.errors import Outage
from schemas.events import Usage
from schemas.payloads import json_payload
from streams.runtime.processor import Result, Wasted

_ASKS = 3  # of one call whose answers break in their middle: nobody has seen anything of them


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; `finish` is `length` when it was cut at its limit."""

    text: str
    finish: str
    model: str
    upstream: str


class Asking:
    """The calls of one attempt, and what they used together, those included that broke off. `spent` is told of it.

    `answer_limit` is how many tokens each answer may have whose body sets no limit; 0: any number.
    """

    def __init__(self, pool: Pool, caller: Caller, spent: Callable[[Result], None], answer_limit: int = 0) -> None:
        self._pool = pool
        self._caller = caller
        self._spent = spent
        self._answer_limit = answer_limit
        self._estimated = False
        self._prompt = self._completion = 0
        self._work_s = 0.0
        self._wasted: list[Wasted] = []
        self._last = Said("", "", "", "")

    @property
    def model(self) -> str:
        """The public name of the model that answered last."""
        return self._last.model

    async def ask(self, body: Json, dialect: Dialect = Dialect.OPENAI) -> Said:
        """Return the answer to one call.

        An answer that breaks in its middle is asked for again; raises AnswerBroken for the last one, also where the
        breaking has left no server to ask (this call may be what breaks them), and what else `Pool.open` raises.
        """
        call = replace(checked_call(dialect, Task.CHAT, body), stream=True, answer_limit=self._answer_limit)
        broken: AnswerBroken | None = None
        for left in reversed(range(_ASKS)):
            try:
                answer = await self._opened(call)
            except NoUpstream:
                if broken is not None:
                    raise broken from None
                raise
            try:
                async with answer:
                    text, finish = await _read(answer)
            except AnswerBroken as e:
                if not left or e.code == TOO_LONG:
                    self._count(answer)
                    raise
                broken = e
                self._waste(answer)
                continue
            except BaseException:
                self._count(answer)
                raise
            self._count(answer)
            self._last = Said(text, finish or "stop", answer.model, answer.upstream)
            break
        return self._last

    async def _opened(self, call: Call) -> Answer:
        lost: list[Lost] = []
        left = False
        try:
            return await self._pool.open(call, self._caller, lost)
        except (QueueFull, WaitedTooLong) as e:
            # A full pool is no fault of this job: it waits without losing an attempt.
            raise Outage(e.message, code=e.code, remedy=e.remedy) from e
        except asyncio.CancelledError:
            left = True
            raise
        finally:
            if lost:
                self._lose(lost, left)

    def _lose(self, lost: Sequence[Lost], left: bool) -> None:
        """Take in the attempts that brought nothing; of those that were cut when we left, one is charged."""
        broken_off = next((each for each in lost if each.cut), None) if left else None
        for each in lost:
            if each is broken_off:
                self._add(each)
            else:
                self._wasted.append(Wasted(_usage(each), each.model, each.upstream))
        self._spent(self.result(None))

    def _waste(self, answer: Answer) -> None:
        self._wasted.append(Wasted(_usage(answer), answer.model, answer.upstream))
        self._spent(self.result(None))

    def _count(self, answer: Answer) -> None:
        self._add(answer)
        self._spent(self.result(None))

    def _add(self, served: Answer | Lost) -> None:
        used = served.used
        self._work_s += served.work_s
        self._prompt += used.prompt_tokens
        self._completion += used.completion_tokens
        self._estimated = self._estimated or not used.counted
        self._last = replace(self._last, model=served.model, upstream=served.upstream)

    def result(self, body: Json | None, **more: Any) -> Result:
        """Return the stage's result with the usage so far."""
        usage = Usage(
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
            work_seconds=self._work_s,
            estimated=self._estimated,
        )
        outputs = (json_payload(orjson.dumps(body), "llm.json"),) if body is not None else ()
        last = self._last
        return Result(outputs, usage, model=last.model, upstream=last.upstream, wasted=tuple(self._wasted), **more)


async def _read(answer: Answer) -> tuple[str, str]:
    texts: list[str] = []
    finish = ""
    async for batch in answer.batches():
        for chunk in batch:
            for part in chunk.parts:
                if part.index == 0:
                    texts.append(part.text)
                    finish = part.finish or finish
    return "".join(texts), finish


def _usage(served: Answer | Lost) -> Usage:
    used = served.used
    return Usage(
        prompt_tokens=used.prompt_tokens,
        completion_tokens=used.completion_tokens,
        work_seconds=served.work_s,
        estimated=not used.counted,
    )
