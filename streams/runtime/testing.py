"""A Context for tests of handlers: payloads in memory, calls in this process, progress on record."""

import importlib
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.events import Progress
from schemas.payloads import Payload
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import read
from streams.storage.fake import FakeBlobs


class FakeContext:
    """What a handler needs, without topics or child processes. `reported` holds the progress told."""

    def __init__(self, *, service: str = "test", attempt: int = 1, blobs: BlobStore | None = None) -> None:
        self.blobs = blobs or FakeBlobs()
        self.reported: list[Progress] = []
        self._service = service
        self._attempt = attempt

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._attempt

    async def read(self, payload: Payload) -> bytes:
        """Return a payload's content, wherever it is."""
        return await read(payload, self.blobs)

    def as_file(self, payload: Payload) -> AbstractAsyncContextManager[Path]:
        """Give a payload's content as a local file."""
        return self._as_file(payload)

    async def store(self, media_type: str, content: bytes, name: str = "") -> Payload:
        """Store content as a blob of the job's service and return it as a payload."""
        ref = await self.blobs.put_bytes(self._service, media_type, content)
        return Payload(media_type=media_type, name=name, blob=ref)

    async def progress(self, done: int, total: int, unit: str) -> None:
        """Record how far the work is."""
        self.reported.append(Progress(self._attempt, done, total, unit))

    async def call(self, function: str, *args: Any, timeout_s: float | None = None) -> Any:
        """Run `module:function` here; `timeout_s` has no effect."""
        del timeout_s
        module, _, name = function.partition(":")
        return getattr(importlib.import_module(module), name)(*args)

    @asynccontextmanager
    async def _as_file(self, payload: Payload) -> AsyncGenerator[Path]:
        with tempfile.NamedTemporaryFile(prefix="payload-") as file:
            file.write(await self.read(payload))
            file.flush()
            yield Path(file.name)
