"""Uploads: from the request's body straight into the blob store, bounded, with the type looked at on the way."""

from collections.abc import AsyncIterator

from ingress.media import SNIFF_BYTES, media_type_of
from ingress.problems import Problem
from schemas.payloads import Payload
from streams.storage.blobs import BlobStore

# Boundaries and headers of the parts; what counts against the limit is the files themselves.
_OVERHEAD_BYTES = 64 * 1024


class Uploads:
    """The uploads of one request: together they may have `limit_bytes`."""

    def __init__(self, blobs: BlobStore, service: str, limit_bytes: int) -> None:
        self._blobs = blobs
        self._service = service
        self._limit = limit_bytes
        self._left = limit_bytes

    def check_length(self, content_length: str | None) -> None:
        """Refuse a body that says itself that it is too large, before any of it is read.

        Raises Problem 413.
        """
        length = int(content_length) if content_length is not None and content_length.isdecimal() else 0
        if length > self._limit + _OVERHEAD_BYTES:
            raise self._too_large()

    async def bounded(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass a body through; raise Problem 413 as soon as it is too large."""
        left = self._limit + _OVERHEAD_BYTES
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise self._too_large()
            yield chunk

    async def store(self, name: str, content_type: str, content: AsyncIterator[bytes]) -> Payload:
        """Store a file and return it as a payload; nothing stays of one that is refused.

        Raises Problem 413, InvalidInput (`empty_file`, `not_what_it_claims`) and Outage.
        """
        head = bytearray()
        async for chunk in content:
            head += chunk
            if len(head) >= SNIFF_BYTES:
                break
        media_type = media_type_of(bytes(head[:SNIFF_BYTES]), name, content_type)
        ref = await self._blobs.put(self._service, media_type, self._counted(bytes(head), content))
        return Payload(media_type=media_type, name=name, blob=ref)

    async def _counted(self, head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._take(head)
        yield head
        async for chunk in rest:
            self._take(chunk)
            yield chunk

    def _take(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise self._too_large()

    def _too_large(self) -> Problem:
        # The connection stays open: closed while the caller still sends, it would be reset and the
        # answer lost. The server drops what still comes; callers who look for the answer stop.
        return Problem(
            413,
            "upload_too_large",
            f"the upload is larger than {self._limit} bytes",
            "split the document, or raise GATEWAY_MAX_UPLOAD_MIB",
        )
