"""One answer on its way to a caller: its chunks, what it used, and the slot that it holds."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType

from processors.llm.errors import AnswerBroken
from processors.llm.pool.slots import Slot
from processors.llm.protocols.values import Chunk, Counts
from processors.llm.upstream_answer import UpstreamAnswer


@dataclass(frozen=True, slots=True)
class Used:
    """What a call used. `complete`: the answer ended as it should.

    `counted`: the numbers are the upstream's own; otherwise `completion_tokens` are those that it had sent, and
    `prompt_tokens` is 0 and has to be estimated.
    """

    prompt_tokens: int
    completion_tokens: int
    complete: bool
    counted: bool


class Answer:
    """The chunks in batches, as they came; the first batch is there already. Use it as an async context manager.

    Leaving the context, at whatever point, closes the upstream's call and frees its slot.
    """

    def __init__(
        self,
        model: str,
        upstream_model: str,
        slot: Slot,
        head: list[Chunk],
        source: UpstreamAnswer | None,
        heard: Callable[[str], None],
        broke: Callable[[str], None],
        attempts: int,
    ) -> None:
        self.model = model
        self.upstream = slot.upstream
        self.upstream_model = upstream_model
        self.waited_s = slot.waited_s
        self.attempts = attempts
        self._slot = slot
        self._head = head
        self._source = source
        self._heard = heard
        self._broke = broke
        self._tokens = 0
        self._counts: Counts | None = None
        self._complete = False
        self._count(head)

    @property
    def used(self) -> Used:
        """What the call has used so far; final once the answer is closed."""
        counts = self._counts
        if counts is not None and self._complete:
            return Used(counts.prompt_tokens, counts.completion_tokens, complete=True, counted=True)
        prompt = counts.prompt_tokens if counts else 0
        return Used(prompt, self._tokens, self._complete, counted=False)

    async def batches(self) -> AsyncIterator[list[Chunk]]:
        """Yield the chunks. Raises AnswerBroken when the upstream fails in the middle; what came before stands."""
        head, self._head = self._head, []
        if head:
            yield head
        if self._source is None:
            return
        while True:
            try:
                chunks = await self._source.read()
            except AnswerBroken:
                self._broke(self.upstream)
                raise
            if not chunks:
                return
            self._heard(self.upstream)
            self._count(chunks)
            yield chunks

    def close(self) -> None:
        """End the call at once, and free its slot; once more changes nothing. What was not read is not counted."""
        source, self._source = self._source, None
        try:
            if source is not None:
                source.close()
        finally:
            self._slot.release()

    async def leave(self) -> None:
        """End the call, count what the upstream had sent until it heard that, and free the slot."""
        source, self._source = self._source, None
        try:
            if source is not None:
                self._count(await source.leave())
        finally:
            self._slot.release()

    async def __aenter__(self) -> "Answer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.leave()

    def _count(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self._tokens += chunk.tokens
            self._counts = chunk.counts or self._counts
            self._complete = self._complete or chunk.last
