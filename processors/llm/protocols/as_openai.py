"""Writes chunks as an OpenAI client expects them."""

import base64
import struct
from collections.abc import Iterable
from typing import Any

import orjson

from processors.llm.protocols.legacy_logprobs import as_lists
from processors.llm.protocols.merging import merged
from processors.llm.protocols.values import Chunk, Counts, Dialect, Json, Part, Task, ToolCall

STREAM_TYPE = "text/event-stream"
WHOLE_TYPE = "application/json"
_DONE = b"data: [DONE]\n\n"


class OpenAiWriter:
    """Writes one answer. `created` is in seconds since 1970; `request_id` names the answer if the upstream did not."""

    def __init__(
        self,
        task: Task,
        model: str,
        request_id: str,
        created: int,
        include_usage: bool = False,
        base64_floats: bool = False,
    ) -> None:
        self._chat = task is Task.CHAT
        self._model = model
        self._include_usage = include_usage
        self._base64 = base64_floats
        self._began: set[int] = set()
        self._written: dict[int, int] = {}  # characters of a completion's choices so far
        self._head: Json = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{request_id}",
            "object": "chat.completion.chunk" if self._chat else "text_completion",
            "created": created,
            "model": model,
        }

    def chunk(self, chunk: Chunk) -> bytes:
        """Return the bytes of one chunk of a stream; none when the caller asked for nothing of what is in it."""
        if chunk.dialect is Dialect.OPENAI:
            return self._own(chunk)
        events: list[Json] = []
        for part in chunk.parts:
            if not part.empty or part.logprobs:
                events.append(self._event(self._delta(part)))
            if part.finish:
                events.append(self._event({**self._empty(part), "finish_reason": _finish(part.finish)}))
        if chunk.last and self._include_usage:
            events.append({**self._head, "choices": [], "usage": usage(chunk.counts)})
        out = b"".join(_sse(event) for event in events)
        return out + _DONE if chunk.last else out

    def whole(self, chunks: Iterable[Chunk]) -> bytes:
        """Return the body of an answer that is not streamed."""
        chunk = merged(chunks)
        if chunk.embeddings or (not chunk.parts and chunk.last):
            return self._embeddings(chunk)
        if chunk.raw is not None and chunk.dialect is Dialect.OPENAI:
            return orjson.dumps({**chunk.raw, "model": self._model})
        kind = "chat.completion" if self._chat else "text_completion"
        choices = [self._choice(part) for part in chunk.parts]
        return orjson.dumps({**self._head, "object": kind, "choices": choices, "usage": usage(chunk.counts)})

    def _own(self, chunk: Chunk) -> bytes:
        if chunk.last:
            return _DONE
        raw = chunk.raw or {}
        if self._include_usage or "usage" not in raw:
            return _sse({**raw, "model": self._model})
        if not raw.get("choices"):
            return b""  # the usage event, which only the ledger asked for
        return _sse({key: value for key, value in raw.items() if key != "usage"} | {"model": self._model})

    def _event(self, choice: Json) -> Json:
        event: Json = {**self._head, "choices": [choice]}
        if self._include_usage:
            event["usage"] = None
        return event

    def _delta(self, part: Part) -> Json:
        if not self._chat:
            return {"index": part.index, "text": part.text, **self._legacy(part), "finish_reason": None}
        delta: Json = {}
        if part.index not in self._began:
            self._began.add(part.index)
            delta["role"] = "assistant"
        if part.text or not part.tool_calls:
            delta["content"] = part.text
        if part.thinking:
            delta["reasoning_content"] = part.thinking
        if part.tool_calls:
            delta["tool_calls"] = [{"index": c.index, **_tool_call(c)} for c in part.tool_calls]
        return {"index": part.index, "delta": delta, **_logprobs(part), "finish_reason": None}

    def _empty(self, part: Part) -> Json:
        return {"index": part.index, **({"delta": {}} if self._chat else {"text": "", "logprobs": None})}

    def _choice(self, part: Part) -> Json:
        finish = _finish(part.finish or "stop")
        if not self._chat:
            return {"index": part.index, "text": part.text, **self._legacy(part), "finish_reason": finish}
        message: Json = {"role": "assistant", "content": part.text}
        if part.thinking:
            message["reasoning_content"] = part.thinking
        if part.tool_calls:
            message["content"] = part.text or None
            message["tool_calls"] = [_tool_call(call) for call in part.tool_calls]
        return {"index": part.index, "message": message, **_logprobs(part), "finish_reason": finish}

    def _legacy(self, part: Part) -> Json:
        begin = self._written.get(part.index, 0)
        self._written[part.index] = begin + len(part.text)
        return {"logprobs": as_lists(part.logprobs, begin) if part.logprobs else None}

    def _embeddings(self, chunk: Chunk) -> bytes:
        if chunk.dialect is Dialect.OPENAI and chunk.raw is not None:
            return orjson.dumps({**chunk.raw, "model": self._model})
        data = [
            {"object": "embedding", "index": i, "embedding": _packed(vector) if self._base64 else vector}
            for i, vector in enumerate(chunk.embeddings)
        ]
        prompt = chunk.counts.prompt_tokens if chunk.counts else 0
        used = {"prompt_tokens": prompt, "total_tokens": prompt}
        return orjson.dumps({"object": "list", "data": data, "model": self._model, "usage": used})


def usage(counts: Counts | None) -> Json:
    """Return counts as OpenAI's `usage`."""
    prompt, completion = (counts.prompt_tokens, counts.completion_tokens) if counts else (0, 0)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _sse(event: Json) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _finish(reason: str) -> str:
    # Ollama also says `load` and `unload`, which OpenAI clients do not know.
    return reason if reason in ("stop", "length", "tool_calls", "content_filter", "function_call") else "stop"


def _tool_call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id or f"call_{call.index}", "type": "function", "function": function}


def _logprobs(part: Part) -> dict[str, Any]:
    return {"logprobs": {"content": list(part.logprobs)}} if part.logprobs else {}


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
