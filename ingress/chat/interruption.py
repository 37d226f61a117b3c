"""Breaks a block of code off from outside: the caller left, or the log did not take the request."""

import asyncio
from types import TracebackType
from typing import Self


class Interrupted(Exception):
    """The block was broken off."""


class Interruption:
    """An async context manager; `now` makes the task inside leave the block with Interrupted."""

    def __init__(self) -> None:
        self._scope = asyncio.timeout(None)
        self._inside = False

    def now(self) -> None:
        """Break the block off. Before it began or after it ended this changes nothing."""
        if self._inside and not self._scope.expired():
            self._inside = False
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._inside = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inside = False
        try:
            await self._scope.__aexit__(kind, error, traceback)
        except TimeoutError as e:
            raise Interrupted from e
