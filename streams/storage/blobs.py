"""What a blob store does. Blobs are content-addressed within a service: same bytes, same blob.

A blob's last touch decides how long it is kept. `put`, `put_bytes`, `find` and `touch` touch it before they tell
that it is there, and reads find a blob that was set aside: whoever was told of a blob finds it for its lifetime.
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
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
        """Return the reference of a service's blob, touched, or None when it has none with this hash."""
        ...

    async def touch(self, ref: BlobRef) -> bool:
        """Begin a blob's lifetime anew; tell whether it is there, set aside or not."""
        ...


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as it lies in the store. `at_ms`: when it was written or touched, or when it was set aside."""

    service: str
    sha256: str
    size: int
    at_ms: int


class BlobKeeping(Protocol):
    """The side of a blob store that removes. Every call raises schemas.errors.Outage as BlobStore's do.

    A blob is removed in two steps: set aside, where `find` and `put` no longer see it but reads do, and later
    destroyed, or put back if it was touched. So no order of a touch and a removal loses a blob that was told of:
    a touch comes before the look whether the blob is there, and the look at the touch after it was set aside.
    """

    @property
    def precision_ms(self) -> int:
        """How exact the times of touches are: they may be told earlier by less than this."""
        ...

    def stored(self, service: str = "") -> AsyncIterator[Sequence[StoredBlob]]:
        """Yield the blobs that are not set aside, of one service or of all.

        `at_ms` may be older than the last touch, never younger.
        """
        ...

    def aside(self, service: str = "") -> AsyncIterator[Sequence[StoredBlob]]:
        """Yield the blobs that are set aside, of one service or of all."""
        ...

    async def touched_ms(self, service: str, sha256: str) -> int | None:
        """Return a blob's last touch, set aside or not; None when it is gone."""
        ...

    async def set_aside(self, service: str, sha256: str) -> bool:
        """Set a blob aside; tell whether it was there."""
        ...

    async def put_back(self, service: str, sha256: str) -> None:
        """Take a blob out of those that are set aside, as it is."""
        ...

    async def destroy(self, service: str, sha256: str) -> None:
        """Remove a blob that is set aside for good, with what is known of its touches."""
        ...

    async def drop_uploads(self, before_ms: int) -> int:
        """Remove what uploads that never ended left before a time; returns how many."""
        ...
