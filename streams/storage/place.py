"""What storing and removing have in common: one place on any obstore store, its errors, and touches.

A touch comes before the look whether the blob is there. In a folder it sets the file's time, which goes with
the file when it is set aside. Elsewhere an object's time cannot be set: an empty object of its own tells it.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from schemas.errors import Outage
from streams.storage.blobs import BlobMissing
from streams.storage.paths import aside_path, touch_path

MARK = ".gateway-blobs"
"""Lies in the folder of a local store. Where it is missing the folder is away (moved, not mounted): then nothing
may be written beside it, and a blob that is not found is an outage, not a loss."""


class ObstorePlace:
    """A store; `root` is the folder of a local one."""

    def __init__(self, store: ObjectStore, root: Path | None = None) -> None:
        self._store = store
        self._root = root

    async def exists(self, path: str) -> bool:
        """Tell whether something lies at `path`."""
        if self._root is not None:
            return (self._root / path).is_file()  # microseconds; a trip to a thread costs more
        return await self._head(path) is not None

    async def time_ms(self, path: str) -> int | None:
        """Return the time of what lies at `path`, None when nothing does."""
        if self._root is not None:
            try:
                return (self._root / path).stat().st_mtime_ns // 1_000_000
            except FileNotFoundError:
                return None
        found = await self._head(path)
        return None if found is None else int(found["last_modified"].timestamp() * 1000)

    async def touch_path(self, path: str) -> bool:
        """Touch the blob at `path`; tell whether it is there, not set aside."""
        if self._root is not None:
            return self._set_time(path)
        if not await self.exists(path):
            return False
        await self.touch_new(path)
        return await self.exists(path)

    async def touch_new(self, path: str) -> None:
        """Touch a blob that may only be about to come to `path`: its own time is lost when it is set aside."""
        if self._root is None:
            await obstore.put_async(self._store, touch_path(path), b"", use_multipart=False)

    async def touch_aside(self, path: str) -> bool:
        """Touch the blob of `path` if it is set aside; tell whether it was, or is back by now."""
        if self._root is not None:
            return self._set_time(aside_path(path)) or self._set_time(path)
        if not await self.exists(aside_path(path)):
            return await self.touch_path(path)
        await self.touch_new(path)
        return await self.exists(aside_path(path)) or await self.exists(path)

    @contextmanager
    def translated(self, path: str) -> Generator[None]:
        """Raise BlobMissing and Outage for what the store raises."""
        try:
            yield
        except FileNotFoundError as e:
            self.check_folder(path)
            raise missing(path) from e
        except (BaseError, OSError) as e:
            raise _down(path, e) from e

    def check_folder(self, path: str) -> None:
        """Raise Outage when the folder of a local store is away."""
        if self._root is not None and not (self._root / MARK).is_file():
            raise _down(path, FileNotFoundError())

    def _set_time(self, path: str) -> bool:
        assert self._root is not None
        try:
            os.utime(self._root / path)
        except FileNotFoundError:
            return False
        return True

    async def _head(self, path: str) -> Any | None:
        try:
            return await obstore.head_async(self._store, path)
        except FileNotFoundError:
            return None


def missing(path: str) -> BlobMissing:
    """Return the error for a blob that is not there."""
    return BlobMissing(f"the blob {path} is not in the store", remedy="upload it again")


def _down(path: str, error: Exception) -> Outage:
    # The text of obstore's errors names addresses and may quote headers: its class is enough here.
    return Outage(
        f"the blob store failed at {path}: {type(error).__name__}",
        code="blob_store_down",
        remedy="check GATEWAY_BLOB_URL, the space and the rights there; work goes on by itself afterwards",
    )
