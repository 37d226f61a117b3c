"""Makes batches of a stream's events: what is there goes together, and what nobody waits for may wait for company."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol


class Waiting(Protocol):
    """The queue that the events come from."""

    def empty(self) -> bool:
        """Tell whether nothing is in it."""
        ...


class Arrivals:
    """Hands over batches of at most `most` events; `close` it at the end.

    A batch without a record of the topic `awaited` is held for up to `hold_s` seconds, so that such a one may
    come along; with one it goes as soon as nothing more is there.
    """

    def __init__(
        self, events: AsyncIterator[Any], waiting: Waiting, most: int, awaited: str = "", hold_s: float = 0.0
    ) -> None:
        self._events, self._waiting = events, waiting
        self._most, self._awaited, self._hold_s = most, awaited, hold_s
        # What was waited for in vain goes on waiting here, so that no event is lost.
        self._coming: asyncio.Future[Any] | None = None

    async def batch(self) -> list[Any]:
        """Return the next events, however long the first of them takes; none at the end of the stream."""
        batch: list[Any] = []
        event, hurried = await self._next(), not self._hold_s
        until = time.monotonic() + self._hold_s
        while event is not None:
            batch.append(event)
            hurried = hurried or event.message.topic == self._awaited
            if len(batch) == self._most:
                break
            if not self._waiting.empty():
                event = await self._next()
            elif hurried or (left := until - time.monotonic()) <= 0:
                break
            else:
                event = await self._next_within(left)
        return batch

    def close(self) -> None:
        """Wait no longer."""
        if self._coming is not None:
            self._coming.cancel()

    async def _next(self) -> Any:
        coming, self._coming = self._coming, None
        return await (coming if coming is not None else anext(self._events, None))

    async def _next_within(self, seconds: float) -> Any:
        self._coming = asyncio.ensure_future(anext(self._events, None))
        await asyncio.wait((self._coming,), timeout=seconds)
        return await self._next() if self._coming.done() else None
