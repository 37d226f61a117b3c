"""Writes chunks as an Ollama client expects them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from processors.llm.protocols.merging import ToolCalls, merged
from processors.llm.protocols.values import Chunk, Counts, Dialect, Json, Part, Task, ToolCall

STREAM_TYPE = "application/x-ndjson"
WHOLE_TYPE = "application/json; charset=utf-8"
_NS = 1_000_000_000


class OllamaWriter:
    """Writes one answer. `clock_ns` tells nanoseconds since 1970.

    Ollama gives a tool call in one event, so the parts of an OpenAI upstream's calls are gathered until the end.
    """

    def __init__(self, task: Task, model: str, clock_ns: Callable[[], int]) -> None:
        self._chat = task is Task.CHAT
        self._model = model
        self._clock_ns = clock_ns
        self._started_ns = clock_ns()
        self._tools = ToolCalls()
        self._finish = "stop"
        self._counts: Counts | None = None

    def chunk(self, chunk: Chunk) -> bytes:
        """Return the bytes of one chunk of a stream; none when nothing is to be said yet."""
        if chunk.dialect is Dialect.OLLAMA and chunk.raw is not None:
            return _line({**chunk.raw, "model": self._model})
        out = b""
        self._counts = chunk.counts or self._counts
        for part in chunk.parts:
            if part.index != 0:
                continue
            self._tools.add(part.tool_calls)
            self._finish = part.finish or self._finish
            if part.text or part.thinking or part.logprobs:
                out += _line(self._event(part, ()))
        return out + self._closing() if chunk.last else out

    def whole(self, chunks: Iterable[Chunk]) -> bytes:
        """Return the body of an answer that is not streamed."""
        chunk = merged(chunks)
        if chunk.raw is not None and chunk.dialect is Dialect.OLLAMA:
            return orjson.dumps({**chunk.raw, "model": self._model})
        if chunk.embeddings or (not chunk.parts and chunk.last):
            return self._embeddings(chunk)
        part = chunk.parts[0] if chunk.parts else Part()
        self._counts, self._finish = chunk.counts, part.finish or "stop"
        return orjson.dumps({**self._event(part, part.tool_calls), **self._end()})

    def _closing(self) -> bytes:
        calls = self._tools.whole()
        out = _line(self._event(Part(), calls)) if calls else b""
        return out + _line({**self._event(Part(), ()), **self._end()})

    def _event(self, part: Part, calls: tuple[ToolCall, ...]) -> Json:
        event: Json = {"model": self._model, "created_at": stamp(self._clock_ns())}
        if self._chat:
            message: Json = {"role": "assistant", "content": part.text}
            if part.thinking:
                message["thinking"] = part.thinking
            if calls:
                message["tool_calls"] = [_tool_call(call) for call in calls]
            event["message"] = message
        else:
            event["response"] = part.text
            if part.thinking:
                event["thinking"] = part.thinking
        event["done"] = False
        if part.logprobs:
            event["logprobs"] = list(part.logprobs)
        return event

    def _end(self) -> Json:
        took = self._clock_ns() - self._started_ns
        counts = self._counts or Counts(0, 0)
        reason = self._finish if self._finish in ("stop", "length", "load", "unload") else "stop"
        return {
            "done": True,
            "done_reason": reason,
            "total_duration": counts.durations.get("total_duration", took),
            "load_duration": counts.durations.get("load_duration", 0),
            "prompt_eval_count": counts.prompt_tokens,
            "prompt_eval_duration": counts.durations.get("prompt_eval_duration", 0),
            "eval_count": counts.completion_tokens,
            "eval_duration": counts.durations.get("eval_duration", took),
        }

    def _embeddings(self, chunk: Chunk) -> bytes:
        took = self._clock_ns() - self._started_ns
        prompt = chunk.counts.prompt_tokens if chunk.counts else 0
        return orjson.dumps(
            {
                "model": self._model,
                "embeddings": list(chunk.embeddings),
                "total_duration": took,
                "load_duration": 0,
                "prompt_eval_count": prompt,
            }
        )


def stamp(ns: int) -> str:
    """Return a time as Ollama writes it: RFC 3339, UTC, nanoseconds."""
    return f"{datetime.fromtimestamp(ns // _NS, UTC):%Y-%m-%dT%H:%M:%S}.{ns % _NS:09d}Z"


def _line(event: Json) -> bytes:
    return orjson.dumps(event) + b"\n"


def _tool_call(call: ToolCall) -> Json:
    try:
        arguments: Any = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        arguments = {}  # the model wrote no JSON: an Ollama client takes objects only
    function = {"index": call.index, "name": call.name, "arguments": arguments}
    return {**({"id": call.id} if call.id else {}), "function": function}
