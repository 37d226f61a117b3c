"""What a handler is given: reading and storing payloads, progress, child processes."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from schemas.events import Progress, StageRequest
from schemas.payloads import Payload
from streams.runtime.processor import Processor, Result
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import read


class Children(Protocol):
    """Runs functions in child processes; see streams.runtime.children."""

    async def call(self, function: str, args: tuple[Any, ...], timeout_s: float, memory_bytes: int) -> Any:
        """Run `module:function` and return what it returns."""
        ...


class WorkContext:
    """The Context of one attempt at one request."""

    def __init__(
        self,
        processor: Processor,
        request: StageRequest,
        attempt: int,
        blobs: BlobStore,
        children: Children,
        *,
        pools: Mapping[str, Children] | None = None,
        on_progress: Callable[[Progress], None],
        on_spent: Callable[[Result], None],
        before_call: Callable[[], Awaitable[None]],
    ) -> None:
        self._processor = processor
        self._service = request.job.service
        self._attempt = attempt
        self._blobs = blobs
        self._children = children
        self._pools = pools or {}
        self._on_progress = on_progress
        self._on_spent = on_spent
        self._before_call = before_call

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._attempt

    async def read(self, payload: Payload) -> bytes:
        """Return a payload's content, wherever it is."""
        return await read(payload, self._blobs)

    def as_file(self, payload: Payload) -> AbstractAsyncContextManager[Path]:
        """Give a payload's content as a local file, for the duration of the context."""
        return self._blobs.as_file(payload.blob) if payload.blob is not None else _inline_file(payload.inline or b"")

    async def store(self, media_type: str, content: bytes, name: str = "") -> Payload:
        """Store content as a blob of the job's service and return it as a payload."""
        ref = await self._blobs.put_bytes(self._service, media_type, content)
        return Payload(media_type=media_type, name=name, blob=ref)

    async def progress(self, done: int, total: int, unit: str) -> None:
        """Tell how far the work is."""
        self._on_progress(Progress(self._attempt, done, total, unit))

    def spent(self, so_far: Result) -> None:
        """Tell what this attempt has used by now."""
        self._on_spent(so_far)

    async def call(self, function: str, *args: Any, timeout_s: float | None = None, pool: str = "") -> Any:
        """Run `module:function` in a child process and return what it returns."""
        await self._before_call()
        limit_s = self._processor.child_timeout_s if timeout_s is None else timeout_s
        if pool:
            return await self._pools[pool].call(function, args, limit_s, self._processor.pools[pool].memory_bytes)
        return await self._children.call(function, args, limit_s, self._processor.child_memory_bytes)


@asynccontextmanager
async def _inline_file(content: bytes) -> AsyncGenerator[Path]:
    with tempfile.NamedTemporaryFile(prefix="payload-") as file:
        await asyncio.to_thread(file.write, content)
        file.flush()
        yield Path(file.name)
