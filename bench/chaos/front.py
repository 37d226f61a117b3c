"""The replicas of ingress as a caller finds them: asked in turns, whether they live or not."""

import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


class Front:
    """Makes each request to the next replica. Nobody looks whether it serves: a caller repeats what was refused."""

    def __init__(self, session: aiohttp.ClientSession, urls: Sequence[str]) -> None:
        self._session = session
        self._urls = itertools.cycle(urls)

    def get(self, path: str, **more: Any) -> Any:
        """GET, as aiohttp's."""
        return self._session.get(next(self._urls) + path, **more)

    def post(self, path: str, **more: Any) -> Any:
        """POST, as aiohttp's."""
        return self._session.post(next(self._urls) + path, **more)

    def delete(self, path: str, **more: Any) -> Any:
        """DELETE, as aiohttp's."""
        return self._session.delete(next(self._urls) + path, **more)


@asynccontextmanager
async def open_front(urls: Sequence[str]) -> AsyncGenerator[Front]:
    """Open the connections of the driver."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:
        yield Front(session, urls)
