"""Which path and body an upstream is sent for a call, whatever the two protocols are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from processors.llm.protocols import to_ollama, to_openai
from processors.llm.protocols.values import Call, Dialect, Json, Task

_SAME_OPENAI = {Task.CHAT: "/chat/completions", Task.COMPLETION: "/completions", Task.EMBED: "/embeddings"}
_SAME_OLLAMA = {Task.CHAT: "/api/chat", Task.COMPLETION: "/api/generate", Task.EMBED: "/api/embed"}


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What to send: `path` is below the upstream's base URL (an `openai` one's ends in /v1)."""

    path: str
    body: Json


def upstream_request(call: Call, upstream: Dialect, model: str) -> UpstreamRequest:
    """Return what to send to an upstream that knows the model as `model`.

    Raises InvalidInput for what the upstream's protocol cannot express.
    """
    if call.dialect is upstream:
        return _same(call, model)
    body = call.body
    if upstream is Dialect.OLLAMA:
        match call.task:
            case Task.CHAT:
                return UpstreamRequest("/api/chat", to_ollama.chat_body(body, model, call.stream))
            case Task.COMPLETION:
                return UpstreamRequest("/api/generate", to_ollama.completion_body(body, model, call.stream))
            case Task.EMBED:
                return UpstreamRequest("/api/embed", to_ollama.embed_body(body, model))
    match call.task:
        case Task.CHAT:
            return UpstreamRequest("/chat/completions", to_openai.chat_body(body, model, call.stream))
        case Task.COMPLETION if body.get("raw") or body.get("suffix"):
            return UpstreamRequest("/completions", to_openai.raw_body(body, model, call.stream))
        case Task.COMPLETION:
            return UpstreamRequest("/chat/completions", to_openai.generate_body(body, model, call.stream))
        case Task.EMBED:
            return UpstreamRequest("/embeddings", to_openai.embed_body(body, model))


def only_loads(call: Call) -> bool:
    """Tell whether an Ollama caller merely wants the model loaded or unloaded: nothing to generate."""
    if call.dialect is not Dialect.OLLAMA or call.task is Task.EMBED:
        return False
    return not call.body.get("messages" if call.task is Task.CHAT else "prompt")


def _same(call: Call, model: str) -> UpstreamRequest:
    body: Json = {**call.body, "model": model}
    if call.task is not Task.EMBED:
        body["stream"] = call.stream
    if call.dialect is Dialect.OLLAMA:
        return UpstreamRequest(_SAME_OLLAMA[call.task], body)
    if call.stream:
        # The counts are wanted for the ledger even where the caller does not ask for them.
        given: Mapping[str, Any] = body.get("stream_options") or {}
        body["stream_options"] = {**given, "include_usage": True}
    return UpstreamRequest(_SAME_OPENAI[call.task], body)
