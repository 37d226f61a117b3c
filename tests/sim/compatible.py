"""The OpenAI-compatible API (/v1/…), as Ollama's own (`ollama`) or as other servers have it (`openai`)."""

import time
from typing import Any, Literal

import orjson
from aiohttp import web

from tests.sim.answering import answer
from tests.sim.engine import Engine, Plan, Wish
from tests.sim.native import installed
from tests.sim.text import embedding, known_schema, logprob, prompt_tokens

Dialect = Literal["ollama", "openai"]
_DONE = b"data: [DONE]\n\n"


def failure(status: int, message: str, kind: str, content_type: str = "application/json") -> web.Response:
    """Return an error in OpenAI's shape."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return web.Response(status=status, body=orjson.dumps(body), headers={"Content-Type": content_type})


class _Shape:
    stream_type = "text/event-stream"
    whole_type = "application/json"
    prefix = "chatcmpl"
    kinds = ("chat.completion", "chat.completion.chunk")

    def __init__(self, model: str, number: int, dialect: Dialect, usage: bool, logprobs: int | None) -> None:
        self._dialect = dialect
        self._usage = usage
        self._logprobs = logprobs
        self._head: dict[str, Any] = {
            "id": f"{self.prefix}-{number}",
            "object": self.kinds[1],
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": "fp_ollama" if dialect == "ollama" else "fp_sim",
        }

    def delta(self, number: int, token: str) -> dict[str, Any]:
        role = {"role": "assistant"} if number == 0 else {}
        return {"index": 0, "delta": {**role, "content": token}}

    def last(self, finish: str) -> dict[str, Any]:
        return {"index": 0, "delta": {}, "finish_reason": finish}

    def said(self, tokens: list[str], plan: Plan) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(tokens)}
        if plan.tool:
            message = {"role": "assistant", "content": "", "tool_calls": [_tool_call(*plan.tool)]}
        return {"index": 0, "message": message}

    def token(self, number: int, token: str, so_far: tuple[int, int] | None = None) -> bytes:
        choice = self.delta(number, token)
        if self._logprobs is not None:
            choice["logprobs"] = self.logprobs([token], self._logprobs)
        return self._event([{**choice, "finish_reason": None}], _usage(*so_far) if so_far else None)

    def logprobs(self, tokens: list[str], top: int) -> dict[str, Any]:
        return {"content": [logprob(token, top) for token in tokens]}

    def tool(self, name: str, arguments: dict[str, Any]) -> bytes:
        call = {"index": 0, **_tool_call(name, arguments)}
        delta = {"role": "assistant", "content": "", "tool_calls": [call]}
        return self._event([{"index": 0, "delta": delta, "finish_reason": None}])

    def end(self, finish: str, prompt_tokens: int, tokens: int) -> bytes:
        closing = self._event([self.last(_finish(finish))])
        if self._usage:
            closing += self._event([], _usage(prompt_tokens, tokens))
        return closing + _DONE

    def broken(self) -> bytes:
        if self._dialect == "openai":
            error = {"message": "The server had an error processing your request", "type": "server_error"}
            return b"data: " + orjson.dumps({"error": error}) + b"\n\n"
        # As captured: an empty event without a model, then a clean end.
        self._head["model"] = ""
        return self._event([{**self.delta(1, ""), "finish_reason": None}])

    def whole(self, tokens: list[str], plan: Plan) -> bytes:
        choice = self.said(tokens, plan)
        if self._logprobs is not None:
            choice["logprobs"] = self.logprobs(tokens, self._logprobs)
        choice["finish_reason"] = _finish(plan.finish)
        usage = _usage(plan.prompt_tokens, len(tokens))
        return orjson.dumps({**self._head, "object": self.kinds[0], "choices": [choice], "usage": usage}) + b"\n"

    def error(self, status: int, message: str) -> web.Response:
        kinds = {429: "rate_limit_error", 401: "invalid_request_error"}
        return failure(status, message, kinds.get(status, "api_error"))

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
        event: dict[str, Any] = {**self._head, "choices": choices}
        if usage is not None:
            event["usage"] = usage
        elif self._usage and self._dialect == "openai":
            event["usage"] = None
        return b"data: " + orjson.dumps(event) + b"\n\n"


class _Completion(_Shape):
    prefix = "cmpl"
    kinds = ("text_completion", "text_completion")
    _written = 0

    def logprobs(self, tokens: list[str], top: int) -> dict[str, Any]:
        if self._dialect == "ollama":
            return super().logprobs(tokens, top)
        told = [logprob(token, top) for token in tokens]
        offsets = [self._written + sum(map(len, tokens[:i])) for i in range(len(tokens))]
        self._written += sum(map(len, tokens))
        return {
            "tokens": tokens,
            "token_logprobs": [one["logprob"] for one in told],
            "top_logprobs": [{t["token"]: t["logprob"] for t in (*one.get("top_logprobs", ()), one)} for one in told],
            "text_offset": offsets,
        }

    def delta(self, number: int, token: str) -> dict[str, Any]:
        return {"index": 0, "text": token}

    def last(self, finish: str) -> dict[str, Any]:
        return {"index": 0, "text": "", "finish_reason": finish}

    def said(self, tokens: list[str], plan: Plan) -> dict[str, Any]:
        return {"index": 0, "text": "".join(tokens)}


def _finish(finish: str) -> str:
    return "tool_calls" if finish == "tool" else finish


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _tool_call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
    return {"id": "call_sim00000", "type": "function", "function": function}


class Compatible:
    """The routes of one server."""

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect: Dialect = dialect
        self._number = 100

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/models", self.models),
            web.post("/v1/chat/completions", self.chat),
            web.post("/v1/completions", self.completions),
            web.post("/v1/embeddings", self.embeddings),
        ]

    async def models(self, request: web.Request) -> web.Response:
        """List the models."""
        if not self._may(request):
            return failure(401, "Incorrect API key provided", "invalid_request_error")
        owner = "library" if self._dialect == "ollama" else "sim"
        models = [
            {"id": name, "object": "model", "created": 1795405214, "owned_by": owner}
            for name in self._engine.config.models
        ]
        return _good({"object": "list", "data": models})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer a chat."""
        body = await self._body(request)
        if isinstance(body, web.Response):
            return body
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            return failure(400, "[] is too short - 'messages'", "invalid_request_error")
        prompt = "".join(f"{m.get('role', '')}{_text(m.get('content'))}" for m in messages)
        if body.get("tools"):
            prompt += orjson.dumps(body["tools"]).decode()
        return await self._answer(request, body, prompt, messages[-1].get("role") == "tool")

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Complete a prompt."""
        body = await self._body(request)
        if isinstance(body, web.Response):
            return body
        prompt = body.get("prompt", "")
        return await self._answer(request, body, prompt if isinstance(prompt, str) else "".join(prompt), False)

    async def embeddings(self, request: web.Request) -> web.Response:
        """Return an embedding for each input."""
        body = await self._body(request)
        if isinstance(body, web.Response):
            return body
        config, given = self._engine.config, body.get("input", [])
        if not config.embedding:
            told = "This server does not support embeddings. Start it with `--embeddings`"
            return failure(501, told, "api_error")
        inputs = [given] if isinstance(given, str) else [str(text) for text in given]
        served = self._engine.counts.begin(request.path, body["model"], request.headers)
        served.prompt_tokens = sum(prompt_tokens(text) for text in inputs)
        self._engine.counts.close(served, "done")
        data = [
            {"object": "embedding", "embedding": embedding(text, config.dimensions, config.seed), "index": i}
            for i, text in enumerate(inputs)
        ]
        usage = {"prompt_tokens": served.prompt_tokens, "total_tokens": served.prompt_tokens}
        return _good({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def _answer(
        self, request: web.Request, body: dict[str, Any], prompt: str, after_tool: bool
    ) -> web.StreamResponse:
        config, name = self._engine.config, str(body["model"])
        tools = body.get("tools") or []
        model = installed(config, name) or name
        if tools and model in config.no_tools:
            return failure(400, f"{model} does not support tools", "invalid_request_error")
        schema = _schema(body.get("response_format"))
        if schema is not None and not known_schema(schema):
            return failure(400, "Invalid schema for response_format", "invalid_request_error")
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        stop = body.get("stop") or []
        wish = Wish(
            model=model,
            prompt=prompt,
            prompt_tokens=prompt_tokens(prompt),
            limit=limit if isinstance(limit, int) else None,
            endless=False,
            stops=[stop] if isinstance(stop, str) else list(stop),
            seed=body.get("seed"),
            schema=schema,
            tools=tools if body.get("tool_choice") != "none" else [],
            after_tool=after_tool,
        )
        fault = self._engine.next_fault(prompt)
        served = self._engine.counts.begin(request.path, model, request.headers)
        served.prompt = wish.prompt if self._engine.config.keep_prompts else ""
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        wanted = body.get("logprobs")
        top = body.get("top_logprobs") if isinstance(wanted, bool) else wanted
        logprobs = int(top or 0) if wanted else None
        self._number = (self._number + 1) % 1000
        kind = _Shape if request.path == "/v1/chat/completions" else _Completion
        shape = kind(name, self._number, self._dialect, usage, logprobs)
        plan = self._engine.plan(wish, fault)
        return await answer(self._engine, request, served, plan, shape, body.get("stream") is True, fault)

    async def _body(self, request: web.Request) -> dict[str, Any] | web.Response:
        if not self._may(request):
            return failure(401, "Incorrect API key provided", "invalid_request_error")
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            return failure(400, "unexpected EOF", "invalid_request_error", "application/json; charset=utf-8")
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return failure(400, "model is required", "invalid_request_error")
        if installed(self._engine.config, body["model"]) is None:
            return failure(404, f"model '{body['model']}' not found", "not_found_error")
        return body

    def _may(self, request: web.Request) -> bool:
        key = self._engine.config.api_key
        return not key or request.headers.get("Authorization") == f"Bearer {key}"


def _schema(form: Any) -> dict[str, Any] | None:
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    return (form.get("json_schema") or {}).get("schema")


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _good(body: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(body) + b"\n", headers={"Content-Type": "application/json"})
