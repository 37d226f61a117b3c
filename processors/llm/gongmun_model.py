"""The model's part in `gongmun.extract`: asks once, within bounds; whatever goes wrong leaves the rules' result."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from processors.llm.asking import Asking
from processors.llm.gongmun.model_question import answer_schema, prompt
from processors.llm.pool.pool import Pool
from processors.llm.pool.values import Caller
from processors.llm.protocols.values import Json
from schemas.errors import GatewayError
from schemas.events import StageRequest, Usage
from streams.runtime.processor import Context, Result, Wasted

PoolSource = Callable[[], Pool | None]

MODEL_TIMEOUT_S = 90.0
"""A letter waits no longer than that for a model; then it has what the rules read."""

_CHECK = "processors.llm.answer_check:problem"
_ASK = "processors.llm.gongmun.child:ask"
_JOIN = "processors.llm.gongmun.child:join"
_CHILD_S = 30.0
MOST_TOKENS = 2_000
"""An answer that names forty addressees has some 1,500 tokens."""


@dataclass(frozen=True, slots=True)
class Helped:
    """The result with the model's part in it, and what that used; `wasted` brought nothing to it."""

    result: bytes
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    upstream: str = ""
    wasted: tuple[Wasted, ...] = ()


async def helped(
    pool: Pool, request: StageRequest, context: Context, pages: bytes, result: bytes, timeout_s: float = MODEL_TIMEOUT_S
) -> Helped:
    """Return the rules' `result` filled and corrected by a model, or with a warning that no model helped."""
    asking = Asking(pool, Caller(request.job.service, request.job.lane, request.job.job_id), context.spent)
    # The job's own: it keeps the prompt that it was accepted with. A module that names none has this process's.
    version, told = prompt(orjson.loads(request.step.config or "{}").get("prompt"))
    schema = answer_schema()
    try:
        text: str = await context.call(_ASK, pages, timeout_s=_CHILD_S)
        async with asyncio.timeout(timeout_s):
            said = await asking.ask(_body(told, text, schema))
        wrong: str = await context.call(_CHECK, said.text, schema, timeout_s=_CHILD_S)
        if wrong:
            return _spent(
                asking, _warned(result, "model_answer_unusable", "the model's answer does not fit its schema")
            )
        made_by = {"model": said.model, "prompt": f"gongmun.extract@{version}"}
        joined: bytes = await context.call(_JOIN, pages, result, orjson.loads(said.text), made_by, timeout_s=_CHILD_S)
    except TimeoutError:
        return _spent(asking, _warned(result, "model_too_slow", f"no model answered within {timeout_s:g} s"))
    except GatewayError as error:
        return _spent(asking, _warned(result, "model_failed", f"no model helped: {error.code}"))
    return _spent(asking, joined)


def _spent(asking: Asking, result: bytes) -> Helped:
    spent: Result = asking.result(None)
    return Helped(result, spent.usage, spent.model, spent.upstream, spent.wasted)


def _body(told: str, text: str, schema: Json) -> Json:
    shape = {"name": "letter", "schema": schema, "strict": True}
    return {
        "messages": [{"role": "system", "content": told}, {"role": "user", "content": text}],
        "max_tokens": MOST_TOKENS,
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": shape},
    }


def _warned(result: bytes, code: str, message: str) -> bytes:
    body: dict[str, Any] = orjson.loads(result)
    body["warnings"] = [*body.get("warnings", []), {"code": code, "message": message}]
    return orjson.dumps(body)
