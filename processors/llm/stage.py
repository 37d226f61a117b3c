"""The stage `llm`: a text and what was said before in, a model's answer out, from the same pool as the chat."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

import orjson

from processors.llm.asking import Asking, Said
from processors.llm.errors import NoUpstream
from processors.llm.input_text import text_of
from processors.llm.pool.pool import Pool
from processors.llm.pool.shared import shared_pool
from processors.llm.pool.values import Caller
from processors.llm.prompted import prompted
from processors.llm.protocols.values import Json
from schemas.errors import InvalidInput
from schemas.events import StageRequest
from schemas.quota_estimates import ANSWER_LIMIT
from schemas.topics import LLM
from streams.redis_client import redis_client
from streams.runtime.processor import Context, Processor, Result, SpentWork
from streams.serving import Lack
from streams.settings import Settings
from streams.storage.checkpoints import Checkpoints, sweeping

CHECK = "processors.llm.answer_check:problem"
_CHECK_S = 10.0
_CONCURRENCY = 64  # what is in work; the pool's slots bound what the model servers get
_PASSED_ON = ("model", "max_tokens", "temperature", "seed")


NO_SERVER = Lack(
    "no model server is configured",
    "set GATEWAY_OLLAMA_URLS, or name the servers in models.yml, and restart the llm process",
)


class LlmStage:
    """The stage and its pool, which `open` makes inside the event loop."""

    def __init__(self, settings: Settings, env: Mapping[str, str], checkpoints: Checkpoints) -> None:
        self._settings = settings
        self._env = env
        self._checkpoints = checkpoints
        self._pool: Pool | None = None
        self.processor = Processor(
            LLM,
            self.handle,
            concurrency=_CONCURRENCY,
            lacks=self.lacks,
            depends_on=model_asked_for,
            settle=self.settle,
        )

    async def open(self, stack: AsyncExitStack) -> None:
        """Run the pool until the stack is closed, and sweep what crashed processes kept."""
        await stack.enter_async_context(sweeping(self._checkpoints))
        redis = redis_client(self._settings.redis_url)
        stack.push_async_callback(redis.aclose)
        self._pool = await stack.enter_async_context(shared_pool(self._settings, redis, self._env))

    def pool(self) -> Pool | None:
        """Return the pool, None before it runs."""
        return self._pool

    def use(self, pool: Pool) -> None:
        """Serve from a pool that runs already."""
        self._pool = pool

    def lacks(self) -> Lack | None:
        """Tell why no model can answer now; None when one can, or before the pool is there."""
        if self._pool is None:
            return None
        states = self._pool.states()
        if not states:
            return NO_SERVER
        if self._pool.catalogue.models and any(state.usable for state in states):
            return None
        return Lack(
            f"no model server answers with a model: {', '.join(state.name for state in states)}",
            "start the model servers and pull a model (./gateway doctor tells)",
        )

    async def handle(self, request: StageRequest, context: Context) -> Result:
        """Ask once and, where a schema is given and the answer does not fit it, once more.

        Raises SpentWork (`invalid_answer`, `answer_cut`) with the raw answer kept, InvalidInput, or Outage while
        no model server can serve.
        """
        if not request.inputs:
            raise InvalidInput("llm was asked without a text", code="missing_input", remedy='send {"text": "…"}')
        config: Json = orjson.loads(request.step.config or "{}")
        if "prompt" in config:
            return await prompted(self._running(), request, context, config, self._checkpoints)
        options: Json = orjson.loads(request.options or "{}")
        text = text_of(await context.read(request.inputs[0]))
        body = _body(options, text)
        caller = Caller(request.job.service, request.job.lane, request.job.job_id)
        asking = Asking(self._running(), caller, context.spent, config.get(ANSWER_LIMIT, 0))
        said = await asking.ask(body)
        schema = options.get("schema")
        if schema is None:
            return asking.result(_result(said))
        wrong = await context.call(CHECK, said.text, schema, timeout_s=_CHECK_S)
        repaired = bool(wrong) and said.finish != "length"
        if repaired:
            said = await asking.ask(_repair(body, said.text, wrong))
            wrong = await context.call(CHECK, said.text, schema, timeout_s=_CHECK_S)
        if wrong:
            raise await _unusable(said, context, asking)
        return asking.result({**_result(said), "json": orjson.loads(said.text), "repaired": repaired})

    async def settle(self, request: StageRequest) -> None:
        """Remove the answered parts that a request's attempts kept for one another. Raises Outage."""
        if _has_prompt(request):
            await self._checkpoints.remove(request)

    def _running(self) -> Pool:
        if self._pool is None or not self._pool.catalogue.models:
            raise NoUpstream(
                "there is no model on any model server yet",
                code="no_models",
                remedy="see that the model servers run and have models (./gateway doctor tells)",
            )
        return self._pool


def model_asked_for(request: StageRequest) -> str:
    """Return the model that a request names, itself or by its module; empty for the one that serves by default."""
    for source in (request.options, request.step.config):
        try:
            named: Any = orjson.loads(source or "{}")
        except orjson.JSONDecodeError:
            continue  # the handler tells
        if isinstance(named, dict) and (model := cast("Json", named).get("model")):
            return str(model)
    return ""


def _has_prompt(request: StageRequest) -> bool:
    return "prompt" in orjson.loads(request.step.config or "{}")


async def _unusable(said: Said, context: Context, asking: Asking) -> SpentWork:
    raw = await context.store("text/plain; charset=utf-8", said.text.encode(), "answer.txt")
    spent = asking.result(None, artifacts={"answer": raw.blob} if raw.blob else {})
    if said.finish == "length":
        return SpentWork(
            "the answer was cut at its limit before its JSON was whole",
            code="answer_cut",
            remedy="raise max_tokens, or ask for less",
            spent=spent,
        )
    return SpentWork(
        "the model's answer does not fit the schema, after one repair",
        code="invalid_answer",
        remedy="simplify the schema, or use a larger model; the raw answer is kept with the job",
        spent=spent,
    )


def _body(options: Json, text: str) -> Json:
    system = [{"role": "system", "content": options["system"]}] if options.get("system") else []
    before: list[Any] = options.get("messages") or []
    body: Json = {name: options[name] for name in _PASSED_ON if name in options}
    body["messages"] = [*system, *before, {"role": "user", "content": text}]
    if "schema" in options:
        shape = {"name": "answer", "schema": options["schema"], "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    return body


def _repair(body: Json, answer: str, wrong: str) -> Json:
    asked = [
        {"role": "assistant", "content": answer},
        {
            "role": "user",
            "content": f"That answer does not fit the JSON Schema: {wrong}. Answer again, with JSON only.",
        },
    ]
    return {**body, "messages": [*body["messages"], *asked]}


def _result(said: Said) -> Json:
    return {"text": said.text, "model": said.model, "finish_reason": said.finish}
