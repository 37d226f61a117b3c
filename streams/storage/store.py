"""The blob store on obstore: a local folder (`file:/path`) or S3 (`s3://bucket/prefix`)."""

import asyncio
import atexit
import contextlib
import hashlib
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from schemas.errors import InvalidInput, Outage
from schemas.payloads import BlobRef
from streams.storage.blobs import BlobMissing, BlobStore
from streams.storage.paths import blob_path, is_sha256, ref_path, upload_path

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

# Lies in the folder of a local store. Where it is missing the folder is away (moved, not mounted): then
# nothing may be written beside it, and a blob that is not found is an outage, not a loss.
_MARK = ".gateway-blobs"


def open_blob_store(url: str) -> BlobStore:
    """Open the store at `file:/path` (made when missing) or `s3://bucket/prefix`.

    S3 reads its region, endpoint and credentials from the usual `AWS_…` variables. Raises
    InvalidInput when the URL names neither, and Outage when the folder cannot be made.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/"):
        root = Path(parts.path)
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / _MARK).touch()
        except OSError as e:
            raise Outage(
                f"the blob folder {root} cannot be made: {e.strerror}",
                remedy="set GATEWAY_BLOB_URL to a folder of yours",
            ) from e
        return ObstoreBlobs(LocalStore(str(root)), root)
    if parts.scheme == "s3" and parts.netloc:
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            # An outage must show within seconds; who waits for the end of it is the caller.
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
        )
        return ObstoreBlobs(store)
    raise InvalidInput(
        f"GATEWAY_BLOB_URL is {url!r}, which is neither a folder nor a bucket",
        remedy="use file:/absolute/path or s3://bucket/prefix",
    )


class ObstoreBlobs:
    """A BlobStore on any obstore store. `root` is the folder of a local one, whose files are read in place."""

    def __init__(self, store: ObjectStore, root: Path | None = None) -> None:
        self._store = store
        self._root = root

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
        with self._translated(path):
            self._check_folder(path)
            if not await self._exists(path):
                await obstore.put_async(self._store, path, content, use_multipart=False)
        return ref

    async def get(self, ref: BlobRef) -> bytes:
        """Return a blob's bytes."""
        with self._translated(ref_path(ref)):
            answer = await obstore.get_async(self._store, ref_path(ref))
            return bytes(await answer.bytes_async())

    async def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        """Yield a blob's bytes in chunks of about 1 MiB."""
        with self._translated(ref_path(ref)):
            answer = await obstore.get_async(self._store, ref_path(ref))
            async for chunk in answer.stream(min_chunk_size=_SMALL_BYTES):
                yield bytes(chunk)

    @asynccontextmanager
    async def as_file(self, ref: BlobRef) -> AsyncGenerator[Path]:
        """Give the blob as a file: the stored one itself, or a temporary copy of a remote one."""
        path = ref_path(ref)
        if self._root is not None:
            file = self._root / path
            if not await asyncio.to_thread(file.is_file):
                self._check_folder(path)
                raise _missing(path)
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
        with self._translated(path):
            try:
                meta = await obstore.head_async(self._store, path)
            except FileNotFoundError:
                self._check_folder(path)
                return None
        return BlobRef(service, sha256, meta["size"], UNKNOWN_TYPE)

    async def _put_large(self, service: str, media_type: str, head: bytes, rest: AsyncIterable[bytes]) -> BlobRef:
        # 1. write under a temporary name, 2. rename to the hash. A crash in between leaves a file
        # under `_uploads/`, never a blob with other content than its name says.
        digest = hashlib.sha256(head)
        size = len(head)
        temporary = upload_path()
        self._check_folder(temporary)
        try:
            writer = obstore.open_writer_async(
                self._store, temporary, buffer_size=_PART_BYTES, max_concurrency=_PARTS_IN_FLIGHT
            )
            try:
                with self._translated(temporary):
                    await writer.write(head)
                async for chunk in rest:
                    digest.update(chunk)
                    size += len(chunk)
                    with self._translated(temporary):
                        await writer.write(chunk)
            finally:
                with self._translated(temporary):
                    await writer.close()
            ref = BlobRef(service, digest.hexdigest(), size, media_type)
            path = ref_path(ref)
            with self._translated(path):
                if await self._exists(path):
                    await obstore.delete_async(self._store, temporary)
                else:
                    await obstore.rename_async(self._store, temporary, path)
            return ref
        except BaseException:  # a caller who went away included: nothing of the upload stays
            with contextlib.suppress(BaseError, OSError):
                await obstore.delete_async(self._store, temporary)
            raise

    async def _exists(self, path: str) -> bool:
        if self._root is not None:
            return (self._root / path).is_file()  # microseconds; a trip to a thread costs more
        try:
            await obstore.head_async(self._store, path)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def _translated(self, path: str) -> Generator[None]:
        try:
            yield
        except FileNotFoundError as e:
            self._check_folder(path)
            raise _missing(path) from e
        except (BaseError, OSError) as e:
            raise _down(path, e) from e

    def _check_folder(self, path: str) -> None:
        if self._root is not None and not (self._root / _MARK).is_file():
            raise _down(path, FileNotFoundError())


def _down(path: str, error: Exception) -> Outage:
    # The text of obstore's errors names addresses and may quote headers: its class is enough here.
    return Outage(
        f"the blob store failed at {path}: {type(error).__name__}",
        code="blob_store_down",
        remedy="check GATEWAY_BLOB_URL, the space and the rights there; work goes on by itself afterwards",
    )


def _missing(path: str) -> BlobMissing:
    return BlobMissing(f"the blob {path} is not in the store", remedy="upload it again")
