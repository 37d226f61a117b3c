"""Calls and answers in a form that belongs to no protocol.

A `Chunk` is one event of an upstream's answer, or a whole answer that was not streamed. It keeps the
upstream's own event (`raw`), so that a caller who speaks the upstream's protocol gets it unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class Dialect(StrEnum):
    """A protocol, and the kind of an upstream that speaks it."""

    OPENAI = "openai"
    OLLAMA = "ollama"


class Task(StrEnum):
    """What is asked of a model."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBED = "embed"


@dataclass(frozen=True, slots=True)
class Call:
    """A caller's request: its body as it came (checked, see `checks`), in the caller's dialect.

    `answer_limit` is how many tokens an answer may have where the body leaves that to the server; 0: any number.
    """

    dialect: Dialect
    task: Task
    model: str
    body: Mapping[str, Any]
    stream: bool
    answer_limit: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call or a part of one: in a stream, parts with the same index belong together."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Part:
    """What an event adds to one choice. `finish`: `stop`, `length`, `tool_calls`, … when the choice ends here."""

    index: int = 0
    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Json, ...] = ()
    finish: str = ""

    @property
    def empty(self) -> bool:
        """Tell whether the event carries nothing that the model generated."""
        return not (self.text or self.thinking or self.tool_calls)


@dataclass(frozen=True, slots=True)
class Counts:
    """The upstream's own counts of a call. Durations in nanoseconds, by Ollama's names, where it gives them."""

    prompt_tokens: int
    completion_tokens: int
    durations: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of an answer. `last` marks the end that the protocol demands."""

    dialect: Dialect
    parts: tuple[Part, ...] = ()
    counts: Counts | None = None
    embeddings: tuple[Any, ...] = ()
    last: bool = False
    raw: Json | None = None
