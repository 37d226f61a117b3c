"""Turns Ollama bodies into OpenAI's. What is unknown is passed on; what has no counterpart is left out or refused."""

from collections.abc import Mapping
from typing import Any, cast

import orjson

from processors.llm.protocols.images import data_url
from processors.llm.protocols.values import Json
from schemas.errors import InvalidInput

_OPTIONS = ("temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty")
# Known to Ollama alone; a strict server refuses a call for a field that it does not know.
_OLLAMA_ONLY = frozenset(
    {
        "options",
        "format",
        "keep_alive",
        "think",
        "truncate",
        "shift",
        "raw",
        "template",
        "context",
        "system",
        "images",
        "prompt",
        "suffix",
        "messages",
        "logprobs",
        "top_logprobs",
        "stream",
        "model",
        "input",
        "tools",
    }
)


def chat_body(body: Mapping[str, Any], model: str, stream: bool) -> Json:
    """Return the body of /v1/chat/completions for /api/chat."""
    made = _common(body, model, stream)
    made["messages"] = _messages(body.get("messages") or [])
    _add_chat_fields(made, body)
    return made


def generate_body(body: Mapping[str, Any], model: str, stream: bool) -> Json:
    """Return the body of /v1/chat/completions for /api/generate, which fills a chat template too."""
    made = _common(body, model, stream)
    messages: list[Json] = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    user: Json = {"role": "user", "content": body.get("prompt", "")}
    made["messages"] = [*messages, _message({**user, "images": body.get("images")}, {}, 0)]
    _add_chat_fields(made, body)
    return made


def raw_body(body: Mapping[str, Any], model: str, stream: bool) -> Json:
    """Return the body of /v1/completions for a raw /api/generate, or one with a suffix."""
    made = _common(body, model, stream)
    made["prompt"] = body.get("prompt", "")
    if body.get("suffix"):
        made["suffix"] = body["suffix"]
    if body.get("logprobs"):
        made["logprobs"] = int(body.get("top_logprobs") or 0)
    return made


def embed_body(body: Mapping[str, Any], model: str) -> Json:
    """Return the body of /v1/embeddings."""
    made: Json = {k: v for k, v in body.items() if k not in _OLLAMA_ONLY}
    made["model"] = model
    made["input"] = body.get("input", [])
    made["encoding_format"] = "float"
    return made


def _common(body: Mapping[str, Any], model: str, stream: bool) -> Json:
    for name in ("context", "template"):
        if body.get(name):
            raise InvalidInput(
                f"{name} is not possible with this model's server",
                code="unsupported",
                remedy="send messages instead (/api/chat), or choose a model on an Ollama",
            )
    options: Json = body.get("options") or {}
    made: Json = {k: v for k, v in body.items() if k not in _OLLAMA_ONLY}
    made.update({name: options[name] for name in _OPTIONS if options.get(name) is not None})
    limit = options.get("num_predict")
    if isinstance(limit, int) and limit > 0:  # -1 and -2 mean: no limit
        made["max_tokens"] = limit
    made["model"] = model
    made["stream"] = stream
    if stream:
        made["stream_options"] = {"include_usage": True}
    return made


def _add_chat_fields(made: Json, body: Mapping[str, Any]) -> None:
    if body.get("tools"):
        made["tools"] = body["tools"]
    form = body.get("format")
    if form == "json":
        made["response_format"] = {"type": "json_object"}
    elif isinstance(form, dict):
        made["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": form}}
    if isinstance(body.get("think"), str):
        made["reasoning_effort"] = body["think"]
    if body.get("logprobs"):
        made["logprobs"] = True
        made["top_logprobs"] = int(body.get("top_logprobs") or 0)


def _messages(messages: list[Json]) -> list[Json]:
    waiting: dict[str, list[str]] = {}  # ids of calls whose result has not come yet, by the tool's name
    return [_message(message, waiting, number) for number, message in enumerate(messages)]


def _message(message: Json, waiting: dict[str, list[str]], number: int) -> Json:
    role = message.get("role", "user")
    made: Json = {"role": role, "content": message.get("content") or ""}
    if message.get("images"):
        images = [{"type": "image_url", "image_url": {"url": data_url(str(i))}} for i in message["images"]]
        made["content"] = [{"type": "text", "text": made["content"]}, *images]
    if message.get("tool_calls"):
        made["tool_calls"] = [_tool_call(c, waiting, f"call_{number}_{i}") for i, c in enumerate(message["tool_calls"])]
    if role == "tool":
        name = str(message.get("tool_name") or message.get("name") or "")
        ids = waiting.get(name) or next((found for found in waiting.values() if found), [])
        made["tool_call_id"] = message.get("tool_call_id") or (ids.pop(0) if ids else name)
    return made


def _tool_call(call: Any, waiting: dict[str, list[str]], made_up: str) -> Json:
    given = cast(Json, call)
    function: Json = given.get("function") or {}
    name, call_id = str(function.get("name") or ""), str(given.get("id") or made_up)
    waiting.setdefault(name, []).append(call_id)
    arguments = orjson.dumps(function.get("arguments") or {}).decode()
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
