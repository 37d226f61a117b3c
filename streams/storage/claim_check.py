"""The claim check: content too large for a record is swapped for a reference to a blob."""

from schemas.payloads import Payload
from streams.storage.blobs import BlobStore

RECORD_LIMIT = 64 * 1024
"""Bytes of content that any record may carry."""

RESULT_LIMIT = 8 * 1024
"""Bytes of a final result that table and view carry: they are held for every job."""


async def check_in(payload: Payload, blobs: BlobStore, service: str, limit_bytes: int = RECORD_LIMIT) -> Payload:
    """Return the payload itself, or one that refers to a blob when its content exceeds `limit_bytes`.

    Raises schemas.errors.Outage when the store cannot be reached.
    """
    if payload.inline is None or len(payload.inline) <= limit_bytes:
        return payload
    ref = await blobs.put_bytes(service, payload.media_type, payload.inline)
    return Payload(media_type=payload.media_type, name=payload.name, blob=ref)


async def read(payload: Payload, blobs: BlobStore) -> bytes:
    """Return a payload's content, wherever it is.

    Raises streams.storage.blobs.BlobMissing, or schemas.errors.Outage when the store cannot be reached.
    """
    if payload.blob is not None:
        return await blobs.get(payload.blob)
    return payload.inline or b""
