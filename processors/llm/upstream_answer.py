"""One answer of an upstream as it comes, within its bounds. Whoever closes it closes the upstream's call."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from processors.llm.errors import AnswerBroken
from processors.llm.leaving import take_in, take_in_now
from processors.llm.protocols import from_ollama, from_openai
from processors.llm.protocols.values import Chunk
from processors.llm.spans import tell_chunks
from schemas.errors import GatewayError
from streams.spans import NO_SPAN, Span

TOO_LONG = "answer_too_long"
_AFTER_END_S = 1.0
_LEAVING_S = 1.0  # a server that heard us stops at once; on a busy machine it hears late, and sends until then


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """What bounds an answer that began, and connecting; how long to wait for its begin is the pool's matter."""

    connect_s: float = 5.0
    between_tokens_s: float = 60.0
    whole_s: float = 3600.0
    whole_bytes: int = 256 * 1024 * 1024
    event_bytes: int = 8 * 1024 * 1024


class UpstreamAnswer:
    """One answer that began: `head` holds the chunks up to the first token, `read` the rest."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        reader: from_ollama.OllamaReader | from_openai.OpenAiReader | None,
        limits: AnswerLimits,
        span: Span = NO_SPAN,
    ) -> None:
        self._response = response
        self._span = span
        self._reader = reader
        self._limits = limits
        self._bytes = 0
        self._deadline = asyncio.get_running_loop().time() + limits.whole_s
        self._marked = False  # the protocol's end mark came; the end of the body follows
        self.ended = reader is None
        self.head: list[Chunk] = []

    async def read(self) -> list[Chunk]:
        """Return the next chunks, at least one; none at the end.

        Raises AnswerBroken when the stream fails, stalls, outgrows its bounds or misses its end mark.
        """
        try:
            return await self._next()
        except AnswerBroken as e:
            self._span.end(e)
            raise

    async def _next(self) -> list[Chunk]:
        while not self.ended:
            self._raise_if_broken()
            try:
                async with asyncio.timeout(_AFTER_END_S if self._marked else self._limits.between_tokens_s):
                    data = await self._response.content.readany()
            except TimeoutError as e:
                if self._marked:
                    self.ended = True  # all is said; only the upstream's connection stays open
                    return []
                raise AnswerBroken(
                    f"nothing came for {self._limits.between_tokens_s:g} s in the middle of an answer",
                    code="answer_stalled",
                ) from e
            except (aiohttp.ClientError, OSError) as e:
                if self._marked:
                    self.ended = True
                    return []
                raise AnswerBroken(
                    f"the connection broke in the middle of an answer: {type(e).__name__}", code="answer_cut"
                ) from e
            chunks = self._taken(data)
            if chunks:
                return chunks
        return []

    def close(self) -> None:
        """Close the upstream's call at once; what had arrived but was not read is lost."""
        self.ended = True
        # A whole answer leaves its connection to the next call by itself; a cut one is closed here.
        self._response.close()
        self._span.end()

    async def leave(self, count: Callable[[list[Chunk]], None]) -> None:
        """Tell the upstream to stop, and close its call.

        `count` is given what it had sent until it heard that and nobody has read, also where this is cancelled.
        """
        try:
            # An answer that came to its end meanwhile has no connection any more, but may not be read yet.
            if not (self.ended or self._response.closed):
                with contextlib.suppress(OSError):
                    await take_in(self._response, _LEAVING_S)
        finally:
            self._count_unread(count)

    def cut(self, count: Callable[[list[Chunk]], None]) -> None:
        """Close the upstream's call at once; `count` is given what had come by now and nobody has read."""
        if not (self.ended or self._response.closed):
            with contextlib.suppress(OSError):
                take_in_now(self._response)
        self._count_unread(count)

    def _count_unread(self, count: Callable[[list[Chunk]], None]) -> None:
        try:
            data = b"" if self.ended or self._reader is None else _lying_in(self._response.content)
            if data and self._reader is not None:
                chunks = self._reader.feed(data)
                tell_chunks(self._span, chunks)
                count(chunks)
        except (aiohttp.ClientError, OSError, GatewayError, RuntimeError):
            pass  # nothing that could be counted
        finally:
            self.close()

    async def begin(self) -> None:
        """Read up to the first chunk that carries something, so that a failure before it can be retried."""
        while not self.ended:
            data = await self._response.content.readany()
            chunks = self._taken(data)
            self.head += chunks
            self._raise_if_broken()  # nothing went out yet: another upstream may serve
            if any(chunk.last or any(not p.empty or p.finish for p in chunk.parts) for chunk in chunks):
                return

    def _raise_if_broken(self) -> None:
        if self._reader is not None and self._reader.broken is not None:
            raise self._reader.broken

    def _taken(self, data: bytes) -> list[Chunk]:
        assert self._reader is not None
        if not data:
            self.ended = True
            return self._reader.finish()
        self._bytes += len(data)
        if self._bytes > self._limits.whole_bytes:
            raise AnswerBroken(f"the answer is longer than {self._limits.whole_bytes} bytes", code=TOO_LONG)
        if asyncio.get_running_loop().time() > self._deadline:
            raise AnswerBroken(f"the answer took longer than {self._limits.whole_s:g} s", code=TOO_LONG)
        chunks = self._reader.feed(data)
        tell_chunks(self._span, chunks)
        self._marked = self._marked or (bool(chunks) and chunks[-1].last)
        return chunks


def _lying_in(content: aiohttp.StreamReader) -> bytes:
    """Return what came and was not read, also where the connection broke behind it."""
    if content.exception() is None:
        return b"".join(iter(content.read_nowait, b""))
    # Nothing public gives what stands before an error, and it was sent to us all the same.
    return content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage]
