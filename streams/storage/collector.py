"""Removes blobs whose lifetime is over, in rounds over the whole store, a bounded number a second.

A round, and what a crash between its steps costs: nothing, for the next round finds things as they are.

1. what was set aside at least GRACE ago is destroyed, or put back if it was touched since;
2. blobs whose last touch is older than their service's lifetime are set aside; the touch is looked at again
   right before, for the list tells only when an object was written;
3. what broken uploads left is dropped.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from schemas.retention import DAY, GRACE
from streams.logs import get_logger
from streams.metrics import (
    BLOBS_ASIDE,
    BLOBS_DESTROYED,
    BLOBS_DESTROYED_BYTES,
    BLOBS_KEPT,
    BLOBS_KEPT_BYTES,
    BLOBS_LAST_ROUND,
    BLOBS_PUT_BACK,
)
from streams.storage.blobs import BlobKeeping, StoredBlob

log = get_logger(__name__)

_A_SECOND = 50
"""Blobs set aside or destroyed in one second at most; the store has other work."""

Due = Callable[[str], int]


@dataclass(slots=True)
class Round:
    """What a round did; sizes in bytes."""

    kept: int = 0
    kept_bytes: int = 0
    set_aside: int = 0
    set_aside_bytes: int = 0
    waiting: int = 0
    put_back: int = 0
    destroyed: int = 0
    destroyed_bytes: int = 0
    uploads: int = 0


class Collector:
    """Goes through a store. `now_ms` is the time in milliseconds since 1970."""

    def __init__(self, keeping: BlobKeeping, now_ms: Callable[[], int], *, a_second: int = _A_SECOND) -> None:
        self._keeping, self._now_ms, self._pause_s = keeping, now_ms, 1 / a_second

    async def round(self, due: Due) -> Round:
        """Go through the store once; `due` gives the time before which a blob of a service must have been touched.

        Raises Outage.
        """
        done = Round()
        grace_over = self._now_ms() - _ms(GRACE)
        async for blob in _each(self._keeping.aside()):
            await self._settle(blob, grace_over, due, done)
        async for blob in _each(self._keeping.stored()):
            if blob.at_ms < due(blob.service) and await self._set_aside(blob, due):
                done.set_aside += 1
                done.set_aside_bytes += blob.size
            else:
                done.kept += 1
                done.kept_bytes += blob.size
        done.uploads = await self._keeping.drop_uploads(self._now_ms() - _ms(DAY))
        _tell(done)
        return done

    async def _set_aside(self, blob: StoredBlob, due: Due) -> bool:
        touched = await self._keeping.touched_ms(blob.service, blob.sha256)
        if touched is None or touched >= due(blob.service):
            return False
        await asyncio.sleep(self._pause_s)
        return await self._keeping.set_aside(blob.service, blob.sha256)

    async def _settle(self, blob: StoredBlob, grace_over: int, due: Due, done: Round) -> None:
        if blob.at_ms >= grace_over:
            done.waiting += 1
            return
        touched = await self._keeping.touched_ms(blob.service, blob.sha256)
        await asyncio.sleep(self._pause_s)
        if touched is not None and touched >= due(blob.service):
            await self._keeping.put_back(blob.service, blob.sha256)
            done.put_back += 1
            return
        await self._keeping.destroy(blob.service, blob.sha256)
        done.destroyed += 1
        done.destroyed_bytes += blob.size


async def _each(batches: AsyncIterator[Sequence[StoredBlob]]) -> AsyncIterator[StoredBlob]:
    async for batch in batches:
        for blob in batch:
            yield blob
        await asyncio.sleep(0)


def _tell(done: Round) -> None:
    BLOBS_KEPT.set(done.kept)
    BLOBS_KEPT_BYTES.set(done.kept_bytes)
    BLOBS_ASIDE.set(done.set_aside + done.waiting)
    BLOBS_PUT_BACK.inc(done.put_back)
    BLOBS_DESTROYED.inc(done.destroyed)
    BLOBS_DESTROYED_BYTES.inc(done.destroyed_bytes)
    BLOBS_LAST_ROUND.set(time.time())
    log.info(
        "blobs.collected",
        kept=done.kept,
        set_aside=done.set_aside,
        put_back=done.put_back,
        destroyed=done.destroyed,
        destroyed_bytes=done.destroyed_bytes,
        uploads=done.uploads,
    )


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
