"""One answer on its way to a caller: its chunks, what it used, and the slot that it holds."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType

from processors.llm.errors import AnswerBroken
from processors.llm.pool.slots import Slot
from processors.llm.pool.tally import Tally, Used
from processors.llm.protocols.values import Chunk
from processors.llm.upstream_answer import UpstreamAnswer


class Answer:
    """The chunks in batches, as they came; the first batch is there already. Use it as an async context manager.

    Leaving the context, at whatever point, closes the upstream's call and frees its slot.
    """

    def __init__(
        self,
        tally: Tally,
        slot: Slot,
        head: list[Chunk],
        source: UpstreamAnswer | None,
        heard: Callable[[str], None],
        broke: Callable[[str], None],
    ) -> None:
        self.model = tally.model
        self.upstream = slot.upstream
        self._tally = tally
        self._slot = slot
        self._head = head
        self._source = source
        self._heard = heard
        self._broke = broke
        tally.add(head)

    @property
    def used(self) -> Used:
        """What the call has used so far; final once the answer is closed."""
        return self._tally.used()

    @property
    def work_s(self) -> float:
        """How long the upstream was at work on it, from the sending of the call to now, or to its end."""
        return self._tally.work_s

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
            self._tally.add(chunks)
            yield chunks

    def close(self) -> None:
        """End the call at once, and free its slot; once more changes nothing. What was not read is not counted."""
        source, self._source = self._source, None
        try:
            if source is not None:
                source.close()
        finally:
            self._tally.end()
            self._slot.release()

    def drop(self) -> None:
        """End the call at once: its caller has another answer, or is gone. What was used is the call's loss."""
        source, self._source = self._source, None
        try:
            if source is not None:
                source.cut(self._tally.add)
        finally:
            self.close()
            self._tally.lose(cut=True)

    async def leave(self) -> None:
        """End the call, count what the upstream had sent until it heard that, and free the slot."""
        source, self._source = self._source, None
        try:
            if source is not None:
                await source.leave(self._tally.add)
        finally:
            self._tally.end()
            self._slot.release()

    async def __aenter__(self) -> "Answer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.leave()
