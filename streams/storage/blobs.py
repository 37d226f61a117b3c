"""What a blob store does. Blobs are content-addressed within a service: same bytes, same blob."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from schemas.errors import Permanent
from schemas.payloads import BlobRef


class BlobMissing(Permanent):
    """The blob is not in the store (never was, or its retention is over)."""

    default_code = "blob_missing"


class BlobStore(Protocol):
    """Stores bytes under their SHA-256, per service.

    Every call raises schemas.errors.Outage when the store cannot be reached; reads raise BlobMissing.
    """

    async def put(self, service: str, media_type: str, content: AsyncIterable[bytes]) -> BlobRef:
        """Store a stream of chunks; memory use does not grow with its length."""
        ...

    async def put_bytes(self, service: str, media_type: str, content: bytes) -> BlobRef:
        """Store bytes that are in memory anyway."""
        ...

    async def get(self, ref: BlobRef) -> bytes:
        """Return a blob's bytes."""
        ...

    def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        """Yield a blob's bytes in chunks."""
        ...

    def as_file(self, ref: BlobRef) -> AbstractAsyncContextManager[Path]:
        """Give the blob as a local file to read while the context is open."""
        ...

    async def find(self, service: str, sha256: str) -> BlobRef | None:
        """Return the reference of a service's blob, or None when it has none with this hash."""
        ...
