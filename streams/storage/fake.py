"""A blob store in memory, for tests; passes the same contract tests as the real one."""

import hashlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.errors import Outage
from schemas.payloads import BlobRef
from streams.storage.blobs import BlobMissing
from streams.storage.paths import blob_path, is_sha256, ref_path
from streams.storage.store import UNKNOWN_TYPE


class FakeBlobs:
    """Keeps blobs in a dictionary by path. While `down` is true, every call raises Outage."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.down = False

    async def put(self, service: str, media_type: str, content: AsyncIterable[bytes]) -> BlobRef:
        """Store a stream of chunks."""
        self._check()
        return await self.put_bytes(service, media_type, b"".join([chunk async for chunk in content]))

    async def put_bytes(self, service: str, media_type: str, content: bytes) -> BlobRef:
        """Store bytes."""
        self._check()
        ref = BlobRef(service, hashlib.sha256(content).hexdigest(), len(content), media_type)
        self.blobs[ref_path(ref)] = content
        return ref

    async def get(self, ref: BlobRef) -> bytes:
        """Return a blob's bytes."""
        self._check()
        path = ref_path(ref)
        if path not in self.blobs:
            raise BlobMissing(f"the blob {path} is not in the store", remedy="upload it again")
        return self.blobs[path]

    async def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        """Yield a blob's bytes in one chunk."""
        yield await self.get(ref)

    @asynccontextmanager
    async def as_file(self, ref: BlobRef) -> AsyncGenerator[Path]:
        """Give the blob as a temporary file."""
        content = await self.get(ref)
        with tempfile.NamedTemporaryFile(prefix="blob-") as copy:
            copy.write(content)
            copy.flush()
            yield Path(copy.name)

    async def touch(self, ref: BlobRef) -> bool:
        """Tell whether the blob is there; nothing is removed here."""
        self._check()
        return ref_path(ref) in self.blobs

    async def find(self, service: str, sha256: str) -> BlobRef | None:
        """Return a reference of unknown media type, or None."""
        self._check()
        if not is_sha256(sha256):
            return None
        content = self.blobs.get(blob_path(service, sha256))
        return None if content is None else BlobRef(service, sha256, len(content), UNKNOWN_TYPE)

    def _check(self) -> None:
        if self.down:
            raise Outage("the blob store is down", code="blob_store_down")
