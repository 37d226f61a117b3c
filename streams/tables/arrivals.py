"""Records on their way from the consumer to the table: whole fetches come in, batches go out.

What is there goes together, and what nobody waits for may wait for company.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from streams.log.protocols import LogRecord


class Arrived(NamedTuple):
    """A record, and the group's generation in which it was read."""

    generation: int
    record: LogRecord


class Arrivals:
    """Hands over batches of at most `most` records; `full` when `room` and more are waiting.

    A batch without a record of the topic `awaited` is held for up to `hold_s` seconds, so that such a one may
    come along; with one it goes as soon as nothing more is there.
    """

    def __init__(self, most: int, room: int, awaited: str = "", hold_s: float = 0.0) -> None:
        self._most, self._room, self._awaited, self._hold_s = most, room, awaited, hold_s
        self._waiting: deque[Arrived] = deque()
        self._came, self._left = asyncio.Event(), asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more should be fetched."""
        return len(self._waiting) >= self._room

    def put(self, generation: int, records: Iterable[LogRecord]) -> None:
        """Add records in their order, room or not: they were fetched."""
        self._waiting.extend(Arrived(generation, record) for record in records)
        self._came.set()

    def clear(self) -> None:
        """Forget what waits: it is read again."""
        self._waiting.clear()
        self._left.set()

    async def until_room(self) -> None:
        """Wait until some of what waits is taken."""
        while self.full:
            self._left.clear()
            await self._left.wait()

    async def batch(self) -> list[Arrived]:
        """Return the next records, however long the first of them takes."""
        batch: list[Arrived] = []
        hurried, until = not self._hold_s, 0.0
        while True:
            if not batch:
                until = time.monotonic() + self._hold_s
            while self._waiting and len(batch) < self._most:
                arrived = self._waiting.popleft()
                hurried = hurried or arrived.record.topic == self._awaited
                batch.append(arrived)
            self._left.set()
            if not batch:
                await self._more(None)
            elif hurried or len(batch) == self._most or (left := until - time.monotonic()) <= 0:
                return batch
            else:
                await self._more(left)

    async def _more(self, seconds: float | None) -> None:
        self._came.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._came.wait()
        except TimeoutError:
            return
