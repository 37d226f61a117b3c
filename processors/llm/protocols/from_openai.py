"""Reads an OpenAI-compatible upstream's answers into chunks."""

from typing import Any, cast

from processors.llm.errors import AnswerBroken
from processors.llm.protocols.event_reader import EventReader
from processors.llm.protocols.framing import SseFramer
from processors.llm.protocols.from_ollama import ODD_SHAPE, odd_shape, parsed_event
from processors.llm.protocols.legacy_logprobs import as_entries
from processors.llm.protocols.values import Chunk, Counts, Dialect, Json, Part, ToolCall

_END = b"[DONE]"


class OpenAiReader(EventReader):
    """Reads the events of /v1/chat/completions or /v1/completions. An end without `[DONE]` is AnswerBroken."""

    end_mark = "[DONE]"

    def __init__(self, framer: SseFramer | None = None) -> None:
        super().__init__(framer or SseFramer())

    def _chunk(self, data: bytes) -> Chunk:
        if data.strip() == _END:
            self._done = True
            return Chunk(Dialect.OPENAI, last=True)
        event = parsed_event(data)
        try:
            return chunk_of(event)
        except ODD_SHAPE as e:
            raise odd_shape() from e


def chunk_of(event: Json) -> Chunk:
    """Return one event of a stream as a chunk."""
    return Chunk(Dialect.OPENAI, _parts(event, "delta"), counts_of(event.get("usage")), raw=event)


def answer_of(body: Json) -> Chunk:
    """Return an answer that was not streamed as a chunk. Raises AnswerBroken when it has no choices."""
    if not isinstance(body.get("choices"), list):
        raise AnswerBroken("the answer holds no choices", code="answer_error")
    return Chunk(Dialect.OPENAI, _parts(body, "message"), counts_of(body.get("usage")), last=True, raw=body)


def embeddings_of(body: Json) -> Chunk:
    """Return the answer of /v1/embeddings as a chunk. Raises AnswerBroken when it holds none."""
    data: Any = body.get("data")
    if not isinstance(data, list):
        raise AnswerBroken("the answer holds no embeddings", code="answer_error")
    vectors = tuple(entry.get("embedding") for entry in cast(list[Json], data))
    return Chunk(Dialect.OPENAI, counts=counts_of(body.get("usage")), embeddings=vectors, last=True, raw=body)


def counts_of(usage: Any) -> Counts | None:
    """Return the counts of a `usage` object; None when there is none."""
    if not isinstance(usage, dict):
        return None
    given = cast(Json, usage)
    return Counts(int(given.get("prompt_tokens") or 0), int(given.get("completion_tokens") or 0))


def _parts(event: Json, key: str) -> tuple[Part, ...]:
    choices: Any = event.get("choices")
    return tuple(_part(choice, key) for choice in cast(list[Json], choices or ()))


def _part(choice: Json, key: str) -> Part:
    said: Json = choice.get(key) or {}
    content: Any = said.get("content") if key in choice else choice.get("text")
    return Part(
        index=int(choice.get("index") or 0),
        text=content if isinstance(content, str) else "",
        thinking=str(said.get("reasoning_content") or said.get("reasoning") or ""),
        tool_calls=_tool_calls(said.get("tool_calls")),
        logprobs=as_entries(choice.get("logprobs")),
        finish=str(choice.get("finish_reason") or ""),
    )


def _tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    if not isinstance(calls, list):
        return ()
    found: list[ToolCall] = []
    for number, call in enumerate(cast(list[Json], calls)):
        function: Json = call.get("function") or {}
        index = call.get("index")
        found.append(
            ToolCall(
                number if index is None else int(index),
                str(call.get("id") or ""),
                str(function.get("name") or ""),
                str(function.get("arguments") or ""),
            )
        )
    return tuple(found)
