"""Compares what a replay made with what the originals have."""

from collections.abc import AsyncIterator, Container
from typing import Any

import orjson

from schemas.codec import Codec
from schemas.errors import Permanent
from schemas.events import JobResult, JobStatus
from schemas.replay_diff import JobDiff, compare
from schemas.replays import ReplayState, replayed_id
from streams.replay.outcomes import read_outcomes
from streams.replay.planner import decode_items
from streams.storage import claim_check
from streams.storage.blobs import BlobStore


async def compared(
    bootstrap: str, codec: Codec, blobs: BlobStore, state: ReplayState, purged: Container[str]
) -> AsyncIterator[JobDiff]:
    """Yield the comparison of each planned job, in the plan's order. Raises Outage.

    The originals are as they were before this replay was promoted.
    """
    if state.plan is None or state.plan.items is None:
        return
    items = decode_items(await claim_check.read(state.plan.items, blobs))
    pairs = [(item.original, replayed_id(state.replay_id, item.original)) for item in items]
    wanted = frozenset(one for pair in pairs for one in pair)
    found = await read_outcomes(bootstrap, codec, state.replay_id, wanted, 0)
    for original, new in pairs:
        before, after = found.ended.get(original), found.ended.get(new)
        if original in purged or new in purged:
            yield JobDiff(original, new, problem="purged")
        elif before is None:
            yield JobDiff(original, new, problem="the original has not ended, or its result is gone")
        elif after is None:
            yield JobDiff(original, new, problem="not replayed, or not ended yet")
        elif after.result.status != JobStatus.DONE:
            yield JobDiff(original, new, problem=f"the replay {after.result.status}")
        else:
            yield await _compared(original, new, before.result, after.result, blobs)


async def _compared(original: str, new: str, before: JobResult, after: JobResult, blobs: BlobStore) -> JobDiff:
    try:
        old = await _json(before, blobs)
        return compare(original, new, old, await _json(after, blobs))
    except Permanent as e:
        return JobDiff(original, new, problem=e.code)


async def _json(result: JobResult, blobs: BlobStore) -> Any:
    """Return a result as JSON; one that failed has none, so all that a replay gives is gained."""
    if result.result is None or result.status != JobStatus.DONE:
        return None
    raw = await claim_check.read(result.result, blobs)
    if result.result.media_type.partition(";")[0] != "application/json":
        return {"text": raw.decode(errors="replace")}
    return orjson.loads(raw)
