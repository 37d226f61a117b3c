"""The blob store on obstore: a local folder (`file:/path`) or S3 (`s3://bucket/prefix`)."""

import asyncio
import atexit
import contextlib
import hashlib
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from schemas.errors import InvalidInput, Outage
from schemas.payloads import BlobRef
from streams.storage.address import access_to
from streams.storage.blobs import BlobStore
from streams.storage.keeping import ObstoreKeeping
from streams.storage.paths import aside_path, blob_path, is_sha256, ref_path, upload_path
from streams.storage.place import MARK, ObstorePlace, missing

# Content up to this size is hashed in memory and stored in one call; above, it goes through a
# temporary object whose name does not need the hash. S3 wants parts of at least 5 MiB.
_SMALL_BYTES = 1024 * 1024
_PART_BYTES = 5 * 1024 * 1024
_PARTS_IN_FLIGHT = 2

# obstore's threads let go of the last answer a moment after it was given; an interpreter that ends
# in that very moment aborts (core dump, exit 134). A pause before the end costs nobody anything.
_EXIT_PAUSE_S = 0.05
atexit.register(time.sleep, _EXIT_PAUSE_S)

UNKNOWN_TYPE = "application/octet-stream"


def open_blob_store(url: str) -> BlobStore:
    """Open the store at `file:/path` (made when missing) or `s3://bucket/prefix`.

    S3 takes what a BlobUrl tells, and the rest from the usual `AWS_…` variables. Raises
    InvalidInput when the URL names neither, and Outage when the folder cannot be made.
    """
    return ObstoreBlobs(*_place(url))


def open_blob_keeping(url: str) -> ObstoreKeeping:
    """Open the removing side of the store that `open_blob_store` opens; raises as that does."""
    return ObstoreKeeping(*_place(url))


def _place(url: str) -> tuple[ObjectStore, Path | None]:
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/"):
        root = Path(parts.path)
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / MARK).touch()
        except OSError as e:
            raise Outage(
                f"the blob folder {root} cannot be made: {e.strerror}",
                remedy="set GATEWAY_BLOB_URL to a folder of yours",
            ) from e
        return LocalStore(str(root)), root
    if parts.scheme == "s3" and parts.netloc:
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            **access_to(url).options(),
            # An outage must show within seconds; who waits for the end of it is the caller.
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
        )
        return store, None
    raise InvalidInput(
        f"GATEWAY_BLOB_URL is {url!r}, which is neither a folder nor a bucket",
        remedy="use file:/absolute/path or s3://bucket/prefix",
    )


class ObstoreBlobs(ObstorePlace):
    """A BlobStore on any obstore store; files of a folder are read in place."""

    async def put(self, service: str, media_type: str, content: AsyncIterable[bytes]) -> BlobRef:
        """Store a stream: hashed while it is written to a temporary object, which is then renamed."""
        head = bytearray()
        rest = aiter(content)
        async for chunk in rest:
            head += chunk
            if len(head) > _SMALL_BYTES:
                return await self._put_large(service, media_type, bytes(head), rest)
        return await self.put_bytes(service, media_type, bytes(head))

    async def put_bytes(self, service: str, media_type: str, content: bytes) -> BlobRef:
        """Store bytes that are in memory anyway."""
        ref = BlobRef(service, hashlib.sha256(content).hexdigest(), len(content), media_type)
        path = ref_path(ref)
        with self.translated(path):
            self.check_folder(path)
            if not await self.touch_path(path):
                await self.touch_new(path)
                await obstore.put_async(self._store, path, content, use_multipart=False)
        return ref

    async def get(self, ref: BlobRef) -> bytes:
        """Return a blob's bytes."""
        with self.translated(ref_path(ref)):
            answer = await self._opened(ref_path(ref))
            return bytes(await answer.bytes_async())

    async def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        """Yield a blob's bytes in chunks of about 1 MiB."""
        with self.translated(ref_path(ref)):
            answer = await self._opened(ref_path(ref))
            async for chunk in answer.stream(min_chunk_size=_SMALL_BYTES):
                yield bytes(chunk)

    @asynccontextmanager
    async def as_file(self, ref: BlobRef) -> AsyncGenerator[Path]:
        """Give the blob as a file: the stored one itself, or a temporary copy of a remote one."""
        path = ref_path(ref)
        if self._root is not None:
            places = [self._root / place for place in _places(path)]
            file = await asyncio.to_thread(lambda: next((place for place in places if place.is_file()), None))
            if file is None:
                self.check_folder(path)
                raise missing(path)
            yield file
            return
        with tempfile.NamedTemporaryFile(prefix="blob-") as copy:
            async for chunk in self.stream(ref):
                await asyncio.to_thread(copy.write, chunk)
            copy.flush()
            yield Path(copy.name)

    async def find(self, service: str, sha256: str) -> BlobRef | None:
        """Return a reference of unknown media type: the type is kept in references, not in the store."""
        if not is_sha256(sha256):
            return None
        path = blob_path(service, sha256)
        with self.translated(path):
            try:
                meta = await obstore.head_async(self._store, path) if await self.touch_path(path) else None
            except FileNotFoundError:  # set aside in this moment: the reader that is told of nothing loses nothing
                meta = None
            if meta is None:
                self.check_folder(path)
                return None
        return BlobRef(service, sha256, meta["size"], UNKNOWN_TYPE)

    async def touch(self, ref: BlobRef) -> bool:
        """Begin a blob's lifetime anew; one that is set aside is put back when its time there is over."""
        path = ref_path(ref)
        with self.translated(path):
            self.check_folder(path)
            return await self.touch_path(path) or await self.touch_aside(path)

    async def _opened(self, path: str) -> Any:
        *first, last = _places(path)
        for place in first:
            with contextlib.suppress(FileNotFoundError):
                return await obstore.get_async(self._store, place)
        return await obstore.get_async(self._store, last)

    async def _put_large(self, service: str, media_type: str, head: bytes, rest: AsyncIterable[bytes]) -> BlobRef:
        # 1. write under a temporary name, 2. rename to the hash. A crash in between leaves a file
        # under `_uploads/`, never a blob with other content than its name says.
        digest = hashlib.sha256(head)
        size = len(head)
        temporary = upload_path()
        self.check_folder(temporary)
        try:
            writer = obstore.open_writer_async(
                self._store, temporary, buffer_size=_PART_BYTES, max_concurrency=_PARTS_IN_FLIGHT
            )
            try:
                with self.translated(temporary):
                    await writer.write(head)
                async for chunk in rest:
                    digest.update(chunk)
                    size += len(chunk)
                    with self.translated(temporary):
                        await writer.write(chunk)
            finally:
                with self.translated(temporary):
                    await writer.close()
            ref = BlobRef(service, digest.hexdigest(), size, media_type)
            path = ref_path(ref)
            with self.translated(path):
                if await self.touch_path(path):
                    await obstore.delete_async(self._store, temporary)
                else:
                    await self.touch_new(path)
                    await obstore.rename_async(self._store, temporary, path)
            return ref
        except BaseException:  # a caller who went away included: nothing of the upload stays
            with contextlib.suppress(BaseError, OSError):
                await obstore.delete_async(self._store, temporary)
            raise


def _places(path: str) -> tuple[str, ...]:
    """Where a reader looks: a blob may be set aside, and put back while it is looked for."""
    return path, aside_path(path), path
