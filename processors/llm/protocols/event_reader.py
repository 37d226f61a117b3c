"""What the readers of streamed answers share: chunks as they are complete, and an end that must have its mark."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Protocol

from processors.llm.errors import AnswerBroken
from processors.llm.protocols.values import Chunk


class Framer(Protocol):
    """Cuts bytes into events."""

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Take bytes as they came and return the events that are complete."""
        ...

    def finish(self) -> Iterable[bytes]:
        """Return what is left at the end."""
        ...


class EventReader(ABC):
    """Reads one streamed answer. An answer that ends without its end mark is AnswerBroken."""

    end_mark: ClassVar[str]

    def __init__(self, framer: Framer) -> None:
        self._framer = framer
        self.broken: AnswerBroken | None = None
        self._done = False

    def feed(self, data: bytes) -> list[Chunk]:
        """Take bytes as they came and return the chunks that are complete.

        Raises AnswerBroken for an event that is none; chunks before it are returned, and `broken` is set.
        """
        chunks: list[Chunk] = []
        try:
            for event in self._framer.feed(data):
                chunks.append(self._chunk(event))  # noqa: PERF401 - those before a bad one stay
        except AnswerBroken as e:
            if not chunks:
                raise
            self.broken = e
        return chunks

    def finish(self) -> list[Chunk]:
        """Take the end of the stream. Raises AnswerBroken when the end mark was missing."""
        chunks = [self._chunk(event) for event in self._framer.finish()]
        if not self._done:
            raise AnswerBroken(f"the answer ended without its end mark ({self.end_mark})", code="answer_cut")
        return chunks

    @abstractmethod
    def _chunk(self, data: bytes) -> Chunk:
        """Return an event as a chunk, and set `_done` with the last one."""
