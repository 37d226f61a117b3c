"""Ollama's own API (/api/…) on a simulated engine."""

import time
from typing import Any

import orjson
from aiohttp import web

from tests.sim.answering import answer
from tests.sim.config import SimConfig
from tests.sim.engine import Engine, Wish
from tests.sim.native_shapes import JSON, Chat, Generate, failure, now
from tests.sim.text import embedding, known_schema, prompt_tokens

_NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"
_DIGEST = "0895ef03de5ea80b10db595e418bba693e5e284b350e4b7a47fdc723c1829636"
_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "133K",
    "quantization_level": "F16",
}
_TYPES = {
    "messages": (list, "ChatRequest", "[]api.Message"),
    "prompt": (str, "GenerateRequest", "string"),
    "model": (str, "ChatRequest", "string"),
    "options": (dict, "ChatRequest", "map[string]interface {}"),
    "stream": (bool, "ChatRequest", "bool"),
}
_GO_NAMES = {str: "string", int: "number", float: "number", bool: "bool", list: "array", dict: "object"}
_INTEGERS = ("num_predict", "seed", "top_k", "num_ctx")


def installed(config: SimConfig, name: str) -> str | None:
    """Return the full name of a model that is there."""
    full = name if ":" in name else f"{name}:latest"
    return full if full in config.models else None


class Native:
    """The routes of one server."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes, HEAD included where Ollama has it."""
        return [
            web.get("/", self.root),
            web.get("/api/version", self.version),
            web.get("/api/tags", self.tags),
            web.get("/api/ps", self.ps),
            web.post("/api/show", self.show),
            web.post("/api/chat", self.chat),
            web.post("/api/generate", self.generate),
            web.post("/api/embed", self.embed),
        ]

    async def root(self, _: web.Request) -> web.Response:
        """Tell that the server is there."""
        return web.Response(text="Ollama is running")

    async def version(self, _: web.Request) -> web.Response:
        """Return the version, which proves little."""
        return _good({"version": self._engine.config.version})

    async def tags(self, _: web.Request) -> web.Response:
        """List the models that are installed."""
        return _good({"models": [self._tag(name) for name in self._engine.config.models]})

    async def ps(self, _: web.Request) -> web.Response:
        """List the models that are loaded."""
        return _good({"models": [self._loaded(name) for name in sorted(self._engine.loaded)]})

    async def show(self, request: web.Request) -> web.Response:
        """Describe one model."""
        body = await _body(request)
        if isinstance(body, web.Response):
            return body
        name = str(body.get("model", ""))
        model = installed(self._engine.config, name)
        if model is None:
            return failure(404, f"model '{name if ':' in name else name + ':latest'}' not found")
        return _good(
            {
                "modelfile": f"FROM {model}",
                "template": "{{ .Prompt }}",
                "details": _DETAILS,
                "model_info": {
                    "general.architecture": "llama",
                    "llama.context_length": self._engine.config.context,
                    "llama.embedding_length": self._engine.config.dimensions,
                },
                "capabilities": self._capabilities(model),
                "modified_at": now(),
            }
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer a chat."""
        body = await _body(request)
        if isinstance(body, web.Response):
            return body
        messages = body.get("messages") or []
        if not messages and installed(self._engine.config, str(body.get("model", ""))):
            return self._load_only(body, {"message": {"role": "assistant", "content": ""}})
        prompt = "".join(f"{m.get('role', '')}{m.get('content', '')}" for m in messages)
        if body.get("tools"):
            prompt += orjson.dumps(body["tools"]).decode()
        after_tool = bool(messages) and messages[-1].get("role") == "tool"
        return await self._answer(request, body, prompt, after_tool)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Complete a prompt."""
        body = await _body(request)
        if isinstance(body, web.Response):
            return body
        if not body.get("prompt") and installed(self._engine.config, str(body.get("model", ""))):
            return self._load_only(body, {"response": ""})
        return await self._answer(request, body, f"{body.get('system', '')}{body.get('prompt', '')}", False)

    async def embed(self, request: web.Request) -> web.Response:
        """Return an embedding for each input."""
        body = await _body(request)
        if isinstance(body, web.Response):
            return body
        started, given = time.monotonic_ns(), body.get("input", [])
        inputs = [given] if isinstance(given, str) else list(given)
        name = str(body["model"])
        if installed(self._engine.config, name) is None:
            return failure(404, f"model '{name}' not found")
        if not inputs:
            return _good({"model": name, "embeddings": []})
        if not self._engine.config.embedding:
            return failure(501, _NO_EMBEDDINGS)
        config, counts = self._engine.config, self._engine.counts
        served = counts.begin(request.path, name, request.headers)
        end = "disconnected"
        try:
            async with self._engine.turn(installed(config, name) or name):
                served.prompt_tokens = sum(prompt_tokens(text) for text in inputs)
                vectors = [embedding(text, config.dimensions, config.seed) for text in inputs]
            end = "done"
        finally:
            counts.close(served, end)
        took = time.monotonic_ns() - started
        return _good(
            {
                "model": name,
                "embeddings": vectors,
                "total_duration": took,
                "load_duration": 1_000_000,
                "prompt_eval_count": served.prompt_tokens,
            }
        )

    async def _answer(
        self, request: web.Request, body: dict[str, Any], prompt: str, after_tool: bool
    ) -> web.StreamResponse:
        refused = self._refused(body)
        if refused is not None:
            return refused
        config, name = self._engine.config, str(body["model"])
        tokens = prompt_tokens(prompt)
        if tokens > config.context:
            if body.get("truncate") is False:
                return failure(400, _too_long(tokens, config.context))
            tokens = config.context // 2 + 2  # cut without a word
        options = body.get("options") or {}
        predict = options.get("num_predict")
        stop = options.get("stop") or []
        form = body.get("format")
        schema = form if isinstance(form, dict) else None
        if form == "json":
            schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
        wish = Wish(
            model=installed(config, name) or name,
            prompt=prompt,
            prompt_tokens=tokens,
            limit=predict if isinstance(predict, int) and predict > 0 else None,
            endless=predict == 0,  # as the real one: 0 does not stop it
            stops=[stop] if isinstance(stop, str) else list(stop),
            seed=options.get("seed"),
            schema=schema,
            tools=body.get("tools") or [],
            after_tool=after_tool,
        )
        fault = self._engine.next_fault(prompt)
        served = self._engine.counts.begin(request.path, wish.model, request.headers)
        served.prompt = prompt if config.keep_prompts else ""
        logprobs = int(body.get("top_logprobs") or 0) if body.get("logprobs") else None
        shape = (
            Chat(name, logprobs) if request.path == "/api/chat" else Generate(name, logprobs, body.get("raw") is True)
        )
        plan = self._engine.plan(wish, fault)
        try:
            return await answer(
                self._engine, request, served, plan, shape, body.get("stream", True) is not False, fault
            )
        finally:
            if body.get("keep_alive") == 0:
                self._engine.unload(wish.model)

    def _refused(self, body: dict[str, Any]) -> web.Response | None:
        config, name = self._engine.config, str(body["model"])
        model = installed(config, name)
        if model is None:
            return failure(404, f"model '{name}' not found")
        for key in _INTEGERS:
            value = (body.get("options") or {}).get(key)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                return failure(500, f'option "{key}" must be of type integer')
        form = body.get("format")
        if isinstance(form, str) and form not in ("", "json"):
            shown = orjson.dumps(orjson.dumps(form).decode()).decode()
            return failure(500, f'invalid format: {shown}; expected "json" or a valid JSON Schema object')
        if isinstance(form, dict) and not known_schema(form):
            told = (
                "Field 'json_schema': \"json_schema\": JSON schema conversion failed:\nUnrecognized schema: "
                + orjson.dumps(form).decode()
            )
            inner = {"error": {"code": 400, "message": told, "type": "invalid_request_error"}}
            return failure(400, orjson.dumps(inner).decode())
        if body.get("think"):
            return failure(400, f'"{name}" does not support thinking')
        if body.get("tools") and model in config.no_tools:
            return failure(400, f"registry.ollama.ai/library/{model} does not support tools")
        return None

    def _load_only(self, body: dict[str, Any], said: dict[str, Any]) -> web.Response:
        name = str(body["model"])
        model = installed(self._engine.config, name) or name
        unload = body.get("keep_alive") == 0
        if unload:
            self._engine.unload(model)
        else:
            self._engine.loaded.add(model)
        reason = "unload" if unload else "load"
        return _good({"model": name, "created_at": now(), **said, "done": True, "done_reason": reason})

    def _capabilities(self, name: str) -> list[str]:
        tools = [] if name in self._engine.config.no_tools else ["tools"]
        return ["completion", *tools, *(["embedding"] if self._engine.config.embedding else [])]

    def _tag(self, name: str) -> dict[str, Any]:
        config = self._engine.config
        more = {"context_length": config.context, "embedding_length": config.dimensions}
        return {
            "name": name,
            "model": name,
            "modified_at": now(),
            "size": 277780,
            "digest": _DIGEST,
            "details": {**_DETAILS, **more},
            "capabilities": self._capabilities(name),
        }

    def _loaded(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "model": name,
            "size": 4466933,
            "digest": _DIGEST,
            "details": _DETAILS,
            "expires_at": now(),
            "size_vram": 0,
            "context_length": self._engine.config.context,
        }


def _good(body: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(body), headers={"Content-Type": JSON})


async def _body(request: web.Request) -> dict[str, Any] | web.Response:
    raw = await request.read()
    if not raw:
        return failure(400, "missing request body")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return failure(400, "unexpected EOF")
    if not isinstance(body, dict):
        return failure(400, "json: cannot unmarshal array into Go value of type api.ChatRequest")
    for key, (kind, struct, go) in _TYPES.items():
        value = body.get(key)
        if value is not None and not isinstance(value, kind):
            got = _GO_NAMES.get(type(value), "null")
            return failure(400, f"json: cannot unmarshal {got} into Go struct field {struct}.{key} of type {go}")
    if not body.get("model"):
        return failure(400, "model is required")
    if " " in body["model"] or "!" in body["model"]:
        return failure(400, "invalid model name")
    return body


def _too_long(tokens: int, context: int) -> str:
    message = f"request ({tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
    error = {
        "code": 400,
        "message": message,
        "type": "exceed_context_size_error",
        "n_prompt_tokens": tokens,
        "n_ctx": context,
    }
    return orjson.dumps({"error": error}).decode()
