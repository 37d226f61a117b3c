"""Reads an Ollama upstream's answers into chunks."""

from collections.abc import Mapping
from typing import Any, cast

import orjson

from processors.llm.errors import AnswerBroken
from processors.llm.protocols.event_reader import EventReader
from processors.llm.protocols.framing import LineFramer
from processors.llm.protocols.values import Chunk, Counts, Dialect, Json, Part, ToolCall

DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


class OllamaReader(EventReader):
    """Reads the NDJSON of /api/chat or /api/generate. An answer that ends without `done` is AnswerBroken."""

    end_mark = "done: true"

    def __init__(self, framer: LineFramer | None = None) -> None:
        super().__init__(framer or LineFramer())
        self._called_tools = False

    def _chunk(self, data: bytes) -> Chunk:
        event = parsed_event(data)
        try:
            chunk = chunk_of(event, self._called_tools)
        except ODD_SHAPE as e:
            raise odd_shape() from e
        self._called_tools = self._called_tools or any(part.tool_calls for part in chunk.parts)
        self._done = self._done or chunk.last
        return chunk


def parsed_event(line: bytes) -> Json:
    """Parse one event. Raises AnswerBroken when it is no JSON object, or tells of an error."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as e:
        raise AnswerBroken("an event of the answer is no JSON", code="answer_not_json") from e
    if not isinstance(event, dict):
        raise AnswerBroken("an event of the answer is no JSON object", code="answer_not_json")
    body = cast(Json, event)
    if body.get("error"):
        raise AnswerBroken("the upstream told of an error instead of going on", code="answer_error")
    return body


ODD_SHAPE = (TypeError, ValueError, AttributeError, KeyError)
"""What an event of an unexpected shape does to its reader."""


def odd_shape() -> AnswerBroken:
    """Return the error for an event that is JSON, but not of the protocol."""
    return AnswerBroken("an event of the answer has an unknown shape", code="answer_odd")


def chunk_of(event: Json, called_tools: bool = False) -> Chunk:
    """Return one event, or a whole answer that was not streamed, as a chunk."""
    message: Any = event.get("message")
    said: Json = cast(Json, message) if isinstance(message, dict) else {}
    calls = _tool_calls(said.get("tool_calls"))
    done = event.get("done") is True
    finish = _finish(event.get("done_reason"), called_tools or bool(calls)) if done else ""
    part = Part(
        text=said.get("content") or event.get("response") or "",
        thinking=said.get("thinking") or event.get("thinking") or "",
        tool_calls=calls,
        logprobs=tuple(event.get("logprobs") or ()),
        finish=finish,
    )
    return Chunk(Dialect.OLLAMA, (part,), counts_of(event) if done else None, last=done, raw=event)


def embeddings_of(body: Json) -> Chunk:
    """Return the answer of /api/embed as a chunk. Raises AnswerBroken when it holds none."""
    vectors: Any = body.get("embeddings")
    if not isinstance(vectors, list):
        raise AnswerBroken("the answer holds no embeddings", code="answer_error")
    counts = Counts(int(body.get("prompt_eval_count") or 0), 0, _durations(body))
    return Chunk(Dialect.OLLAMA, counts=counts, embeddings=tuple(cast(list[Any], vectors)), last=True, raw=body)


def counts_of(event: Mapping[str, Any]) -> Counts | None:
    """Return the counts of a closing event; None when it has none, as after a mere load."""
    if "eval_count" not in event and "prompt_eval_count" not in event:
        return None
    # A prompt that was wholly cached has no prompt_eval_count.
    return Counts(int(event.get("prompt_eval_count") or 0), int(event.get("eval_count") or 0), _durations(event))


def _durations(event: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(event[name]) for name in DURATIONS if name in event}


def _finish(reason: object, called_tools: bool) -> str:
    if called_tools and reason in ("stop", None, ""):
        return "tool_calls"
    return str(reason or "stop")


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    if not isinstance(calls, list):
        return ()
    found: list[ToolCall] = []
    for number, call in enumerate(cast(list[Json], calls)):
        function: Json = call.get("function") or {}
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
        index = int(function.get("index") or number)
        found.append(ToolCall(index, str(call.get("id") or ""), str(function.get("name") or ""), text))
    return tuple(found)
