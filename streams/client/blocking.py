"""The clients as blocking calls: the async ones, on an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from schemas.batch import BatchRequest
from streams.client.door import DoorClient, Place, Reply
from streams.client.rest import Job, RestClient

T = TypeVar("T")


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end; an interrupt of the caller cancels the work."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Blocking:
    def __init__(self, client: RestClient | DoorClient) -> None:
        self._entered = client
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._loop = _Loop()
        try:
            self._loop.run(self._stack.enter_async_context(self._entered))
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._loop.run(self._stack.aclose())
        finally:
            self._loop.close()


class BlockingRest(_Blocking):
    """A RestClient for code without an event loop; use it as a context."""

    def __init__(self, base_url: str, key: str) -> None:
        self._client = RestClient(base_url, key)
        super().__init__(self._client)

    def submit_text(
        self, module: str, text: str, options: Mapping[str, Any] | None = None, *, request_id: str | None = None
    ) -> str:
        """As RestClient.submit_text."""
        return self._loop.run(self._client.submit_text(module, text, options, request_id=request_id))

    def submit_files(
        self,
        module: str,
        files: Sequence[Path],
        options: Mapping[str, str] | None = None,
        *,
        request_id: str | None = None,
    ) -> str:
        """As RestClient.submit_files."""
        return self._loop.run(self._client.submit_files(module, files, options, request_id=request_id))

    def upload(self, content: bytes | Path) -> str:
        """As RestClient.upload."""
        return self._loop.run(self._client.upload(content))

    def modules(self) -> list[dict[str, Any]]:
        """As RestClient.modules."""
        return self._loop.run(self._client.modules())

    def job(self, job_id: str, wait_s: int = 0) -> Job:
        """As RestClient.job."""
        return self._loop.run(self._client.job(job_id, wait_s))

    def finished(self, job_id: str) -> Job:
        """As RestClient.finished."""
        return self._loop.run(self._client.finished(job_id))


class BlockingDoor(_Blocking):
    """A DoorClient for code without an event loop; use it as a context."""

    def __init__(self, bootstrap: str, service: str, registry: str = "") -> None:
        self._client = DoorClient(bootstrap, service, registry)
        super().__init__(self._client)

    def job_id(self, request_id: str) -> str:
        """As DoorClient.job_id."""
        return self._client.job_id(request_id)

    def send(self, requests: Sequence[BatchRequest]) -> list[Place]:
        """As DoorClient.send."""
        return self._loop.run(self._client.send(requests))

    def ask(self, requests: Sequence[BatchRequest]) -> Iterator[Reply]:
        """As DoorClient.ask."""
        replies = self._client.ask(requests)
        try:
            while (reply := self._loop.run(_next(replies))) is not None:
                yield reply
        finally:
            self._loop.run(replies.aclose())


async def _next(replies: Any) -> Reply | None:
    return await anext(replies, None)
