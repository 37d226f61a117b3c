"""The side of the blob store that removes, on obstore; see streams.storage.blobs.BlobKeeping."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import obstore

from streams.storage.blobs import StoredBlob
from streams.storage.paths import ASIDE, UPLOADS, aside_path, blob_of, blob_path, touch_path
from streams.storage.place import ObstorePlace

_AT_ONCE = 500

Listed = tuple[str, int, int]


class ObstoreKeeping(ObstorePlace):
    """A BlobKeeping on any obstore store."""

    @property
    def precision_ms(self) -> int:
        """A second, for HTTP's dates have no more; in a folder a few ticks of the kernel, which has files' times."""
        return 1_000 if self._root is None else 20

    async def stored(self, service: str = "") -> AsyncIterator[Sequence[StoredBlob]]:
        """Yield the blobs that are not set aside."""
        async for found in self._listed(service or None):
            yield [StoredBlob(*blob, size, at) for path, size, at in found if (blob := blob_of(path)) is not None]

    async def aside(self, service: str = "") -> AsyncIterator[Sequence[StoredBlob]]:
        """Yield the blobs that are set aside."""
        async for found in self._listed(aside_path(service) if service else ASIDE):
            blobs = [
                StoredBlob(*blob, size, self._changed_ms(path, at))
                for path, size, at in found
                if (blob := blob_of(path.removeprefix(f"{ASIDE}/"))) is not None
            ]
            yield blobs

    async def touched_ms(self, service: str, sha256: str) -> int | None:
        """Return a blob's last touch."""
        path = blob_path(service, sha256)
        with self.translated(path):
            self.check_folder(path)
            if self._root is not None:
                own = await self.time_ms(path)
                return own if own is not None else await self.time_ms(aside_path(path))
            own = await self.time_ms(path)
            if own is None:
                if not await self.exists(aside_path(path)):
                    return None
                own = 0  # the time of what is set aside is that of its move, which is no touch
            return max(own, await self.time_ms(touch_path(path)) or 0)

    async def set_aside(self, service: str, sha256: str) -> bool:
        """Set a blob aside."""
        path = blob_path(service, sha256)
        with self.translated(path):
            self.check_folder(path)
            try:
                await obstore.rename_async(self._store, path, aside_path(path))
            except FileNotFoundError:
                return False
            return True

    async def put_back(self, service: str, sha256: str) -> None:
        """Take a blob out of those that are set aside."""
        path = blob_path(service, sha256)
        with self.translated(path), contextlib.suppress(FileNotFoundError):
            await obstore.rename_async(self._store, aside_path(path), path)

    async def destroy(self, service: str, sha256: str) -> None:
        """Remove a blob that is set aside for good."""
        path = blob_path(service, sha256)
        with self.translated(path):
            self.check_folder(path)
            await self._delete(aside_path(path))
            # The same content may have come again meanwhile: then its touches are the new blob's.
            if self._root is None and not await self.exists(path):
                await self._delete(touch_path(path))

    async def drop_uploads(self, before_ms: int) -> int:
        """Remove what uploads that never ended left."""
        dropped = 0
        async for found in self._listed(UPLOADS):
            for path in [path for path, _, at_ms in found if at_ms < before_ms]:
                with self.translated(path):
                    await self._delete(path)
                dropped += 1
        return dropped

    def _changed_ms(self, path: str, at_ms: int) -> int:
        """Return when what is set aside was moved: its own time, but in a folder, where that is its last touch."""
        if self._root is None:
            return at_ms
        with contextlib.suppress(FileNotFoundError):
            return (self._root / path).stat().st_ctime_ns // 1_000_000
        return at_ms

    async def _delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, path)

    async def _listed(self, folder: str | None) -> AsyncGenerator[list[Listed]]:
        where = folder or "."
        self.check_folder(where)
        listing = aiter(obstore.list(self._store, folder, chunk_size=_AT_ONCE))
        while True:
            try:
                with self.translated(where):
                    chunk = await anext(listing)
            except StopAsyncIteration:
                return
            yield [(m["path"], m["size"], int(m["last_modified"].timestamp() * 1000)) for m in chunk]
