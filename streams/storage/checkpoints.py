"""Finished pieces of long work, kept where the next attempt finds them: under the job's own name.

The place is a function of service, job id, epoch, step and piece, so nothing has to remember it. A
checkpoint is written when its piece is finished: whoever dies repeats only what was in work.
A handler does not remove them, for it cannot know that its result has reached the log: the runtime
calls `remove` when the request is over. What a crash leaves goes by age, when no request can want it, or with
its job when that is purged.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from schemas.errors import Outage
from schemas.events import StageRequest
from schemas.ids import short_digest
from schemas.topics import STAGES
from streams.logs import get_logger
from streams.storage.address import access_to
from streams.tasks import background, end_tasks

log = get_logger(__name__)

PREFIX = "_work"
"""First part of the places; no service can be called so."""

LIFE = max(
    topic.retention or timedelta() for stage in STAGES.values() for topic in stage.requests.values()
) + timedelta(days=1)
"""How old a checkpoint can be before no request is left on the log that would go on from it."""

_SWEEP_EVERY_S = 6 * 3600.0
_RETRY_S = 60.0
_BATCH = 500

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class CheckpointKey:
    """What a checkpoint belongs to. `work` tells what the pieces are made of or how: what differs starts again."""

    service: str
    job_id: str
    epoch: int
    step: str
    work: str
    piece: int

    @property
    def path(self) -> str:
        """The place in the store. Raises ValueError for names that could lead elsewhere."""
        for part in (self.service, self.job_id, self.step, self.work):
            _check_part(part)
        return f"{self.folder}/{self.work}/{self.piece:05d}.json"

    @property
    def folder(self) -> str:
        """The place of everything that belongs to the same step of the same job."""
        return f"{PREFIX}/{self.service}/{self.job_id}/{self.epoch}/{self.step}"


class Checkpoints(Protocol):
    """Keeps small documents by key.

    Every call raises schemas.errors.Outage when the store cannot be reached.
    """

    async def load(self, key: CheckpointKey) -> bytes | None:
        """Return what was saved under the key, or None."""
        ...

    async def save(self, key: CheckpointKey, content: bytes) -> None:
        """Save, all or nothing; what was there before is replaced."""
        ...

    async def remove(self, request: StageRequest) -> None:
        """Remove every piece of the request's step, whatever made it; there may be none."""
        ...

    async def remove_jobs(self, service: str, job_ids: Set[str]) -> int:
        """Remove every piece of a service's jobs, of all their steps and epochs; return how many there were."""
        ...

    async def sweep(self, now: datetime) -> int:
        """Remove what is older than LIFE at `now`; return how many there were."""
        ...


class StoredCheckpoints:
    """Checkpoints beside the blobs, in any obstore store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def load(self, key: CheckpointKey) -> bytes | None:
        """Read one."""
        try:
            found = await obstore.get_async(self._store, key.path)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _down(error) from error

    async def save(self, key: CheckpointKey, content: bytes) -> None:
        """Write one."""
        try:
            await obstore.put_async(self._store, key.path, content)
        except (BaseError, OSError) as error:
            raise _down(error) from error

    async def remove(self, request: StageRequest) -> None:
        """Remove a request's."""
        await self._remove(_folder_of(request), lambda _path, _at: True)

    async def remove_jobs(self, service: str, job_ids: Set[str]) -> int:
        """Remove those of jobs, by one look at all of the service: few jobs have any."""
        return await self._remove(_folder_of_service(service), lambda path, _at: _job_of(path) in job_ids)

    async def sweep(self, now: datetime) -> int:
        """Remove old ones."""
        before = now - LIFE
        return await self._remove(PREFIX, lambda _path, at: at < before)

    async def _remove(self, folder: str, due: Callable[[str, datetime], bool]) -> int:
        removed = 0
        try:
            async for found in obstore.list(self._store, folder, chunk_size=_BATCH):
                paths = [one["path"] for one in found if due(one["path"], one["last_modified"])]
                # A store of files raises for one that another process removed first: it is gone, as wanted.
                with contextlib.suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, paths)
                removed += len(paths)
        except (BaseError, OSError) as error:
            raise _down(error) from error
        return removed


class MemoryCheckpoints:
    """Checkpoints in a dictionary, for tests. While `down` is true, every call raises Outage."""

    def __init__(self) -> None:
        self.saved: dict[str, bytes] = {}
        self.saved_at: dict[str, datetime] = {}
        self.down = False

    async def load(self, key: CheckpointKey) -> bytes | None:
        """Read one."""
        self._check()
        return self.saved.get(key.path)

    async def save(self, key: CheckpointKey, content: bytes) -> None:
        """Write one."""
        self._check()
        self.saved[key.path] = content
        self.saved_at[key.path] = datetime.now(UTC)

    async def remove(self, request: StageRequest) -> None:
        """Remove a request's."""
        self._check()
        for path in [path for path in self.saved if path.startswith(_folder_of(request) + "/")]:
            del self.saved[path]

    async def remove_jobs(self, service: str, job_ids: Set[str]) -> int:
        """Remove those of jobs."""
        self._check()
        folder = _folder_of_service(service)
        own = [path for path in self.saved if path.startswith(f"{folder}/") and _job_of(path) in job_ids]
        for path in own:
            del self.saved[path]
        return len(own)

    async def sweep(self, now: datetime) -> int:
        """Remove old ones."""
        self._check()
        old = [path for path in self.saved if self.saved_at[path] < now - LIFE]
        for path in old:
            del self.saved[path]
        return len(old)

    def _check(self) -> None:
        if self.down:
            raise Outage("the blob store is down", code="blob_store_down")


def open_checkpoints(blob_url: str) -> StoredCheckpoints:
    """Open the checkpoints of the blob store at `file:/path` or `s3://bucket/prefix`."""
    if blob_url.startswith("file:"):
        folder = Path("/" + blob_url.removeprefix("file:").lstrip("/"))
        return StoredCheckpoints(LocalStore(folder, mkdir=True, automatic_cleanup=True))
    return StoredCheckpoints(from_url(blob_url, **access_to(blob_url).options()))


@asynccontextmanager
async def sweeping(checkpoints: Checkpoints) -> AsyncGenerator[None]:
    """Sweep now and then for the duration of the context."""
    task = background(_sweep(checkpoints), "checkpoints-sweep")
    try:
        yield
    finally:
        await end_tasks(task)


async def _sweep(checkpoints: Checkpoints) -> None:
    while True:
        try:
            removed = await checkpoints.sweep(datetime.now(UTC))
        except Outage as error:
            log.info("checkpoints.not_swept", code=error.code, reason=error.message)
            await asyncio.sleep(_RETRY_S)
            continue
        if removed:
            log.info("checkpoints.swept", removed=removed)
        await asyncio.sleep(_SWEEP_EVERY_S)


def checkpoint_key(request: StageRequest, work: str, piece: int) -> CheckpointKey:
    """Return the key of a piece of the request's step, of this input: another may come under the same job's id."""
    job = request.job
    of_input = f"{work}-{short_digest(job.input_digest)}"
    return CheckpointKey(job.service, job.job_id, job.epoch, request.step.name, of_input, piece)


def _folder_of(request: StageRequest) -> str:
    key = checkpoint_key(request, "any", 0)
    _ = key.path  # checks its parts
    return key.folder


def _folder_of_service(service: str) -> str:
    _check_part(service)
    return f"{PREFIX}/{service}"


def _job_of(path: str) -> str:
    return path.split("/")[2]


def _check_part(part: str) -> None:
    if _SAFE.fullmatch(part) is None:
        raise ValueError(f"{part[:80]!r} cannot be part of a checkpoint's place")


def _down(error: Exception) -> Outage:
    return Outage(f"the blob store cannot be reached: {type(error).__name__}", code="blob_store_down")
