"""A Context for tests of handlers: payloads in memory, calls in this process, progress on record."""

import importlib
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from schemas.events import JobRef, Lane, Progress, StageRequest, Step
from schemas.ids import new_job_id
from schemas.payloads import Payload
from schemas.pipelines import request_event_id
from streams.runtime.processor import Result
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import read
from streams.storage.fake import FakeBlobs


def stage_request(kind: str, *inputs: Payload, options: str = "{}", service: str = "test") -> StageRequest:
    """Return a request for the one step of a job that was just made."""
    now_ms = time.time_ns() // 1_000_000
    job = JobRef(
        job_id=new_job_id(now_ms),
        service=service,
        key_id="test",
        module=kind,
        module_version="1",
        lane=Lane.INTERACTIVE,
        created_at_ms=now_ms,
        input_digest="0" * 64,
    )
    return StageRequest(
        event_id=request_event_id(job.job_id, job.epoch, kind),
        job=job,
        steps=(Step(kind, kind),),
        position=0,
        inputs=inputs,
        options=options,
        requested_at_ms=now_ms,
    )


class FakeContext:
    """What a handler needs, without topics or child processes. `reported` holds the progress told, `used` its use."""

    def __init__(self, *, service: str = "test", attempt: int = 1, blobs: BlobStore | None = None) -> None:
        self.blobs = blobs or FakeBlobs()
        self.reported: list[Progress] = []
        self.used: list[Result] = []
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

    def spent(self, so_far: Result) -> None:
        """Record what was used."""
        self.used.append(so_far)

    async def call(self, function: str, *args: Any, timeout_s: float | None = None, pool: str = "") -> Any:
        """Run `module:function` here; `timeout_s` and `pool` have no effect."""
        del timeout_s, pool
        module, _, name = function.partition(":")
        return getattr(importlib.import_module(module), name)(*args)

    @asynccontextmanager
    async def _as_file(self, payload: Payload) -> AsyncGenerator[Path]:
        with tempfile.NamedTemporaryFile(prefix="payload-") as file:
            file.write(await self.read(payload))
            file.flush()
            yield Path(file.name)
