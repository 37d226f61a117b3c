"""Puts the chunks of a stream together as the one answer that they are."""

from collections.abc import Iterable

from processors.llm.protocols.values import Chunk, Counts, Json, Part, ToolCall


def merged(chunks: Iterable[Chunk]) -> Chunk:
    """Return the whole answer: parts by choice, tool calls by index. A single chunk is returned as it is."""
    given = list(chunks)
    if len(given) == 1:
        return given[0]
    choices: dict[int, _Choice] = {}
    counts: Counts | None = None
    for chunk in given:
        counts = chunk.counts or counts
        for part in chunk.parts:
            choices.setdefault(part.index, _Choice()).add(part)
    parts = tuple(choices[index].part(index) for index in sorted(choices))
    return Chunk(given[-1].dialect, parts, counts, last=True)


class ToolCalls:
    """Gathers the parts of tool calls; those with the same index are one call."""

    def __init__(self) -> None:
        self._calls: dict[int, list[ToolCall]] = {}

    def add(self, parts: Iterable[ToolCall]) -> None:
        """Take parts as they came."""
        for part in parts:
            self._calls.setdefault(part.index, []).append(part)

    def whole(self) -> tuple[ToolCall, ...]:
        """Return the calls so far."""
        return tuple(
            ToolCall(
                index,
                next((p.id for p in parts if p.id), ""),
                "".join(p.name for p in parts),
                "".join(p.arguments for p in parts),
            )
            for index, parts in sorted(self._calls.items())
        )


class _Choice:
    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._tools = ToolCalls()
        self._logprobs: list[Json] = []
        self._finish = ""

    def add(self, part: Part) -> None:
        self._texts.append(part.text)
        self._thoughts.append(part.thinking)
        self._tools.add(part.tool_calls)
        self._logprobs.extend(part.logprobs)
        self._finish = part.finish or self._finish

    def part(self, index: int) -> Part:
        text, thinking = "".join(self._texts), "".join(self._thoughts)
        return Part(index, text, thinking, self._tools.whole(), tuple(self._logprobs), self._finish)
