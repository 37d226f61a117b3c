"""Compares what a replay made with what the originals have."""

from collections.abc import AsyncIterator, Container, Mapping
from typing import Any

import orjson

from schemas.codec import Codec
from schemas.errors import Permanent
from schemas.events import JobResult, JobStatus
from schemas.replay_diff import JobDiff, compare
from schemas.replays import ReplayState, replayed_id
from streams.replay.outcomes import Outcomes, read_outcomes, read_results
from streams.replay.plans import items_of
from streams.storage import claim_check
from streams.storage.blobs import BlobStore
from streams.tasks import gathered

AT_ONCE = 500
"""Jobs whose results are in memory at a time: of 8 KiB at most, larger ones are blobs."""

_BLOBS_AT_ONCE = 16


async def compared(
    bootstrap: str, codec: Codec, blobs: BlobStore, state: ReplayState, purged: Container[str]
) -> AsyncIterator[JobDiff]:
    """Yield the comparison of each planned job, in the plan's order. Raises Outage.

    The originals are as they were before this replay was promoted. Results are read some hundred at a time, in the
    order of the plan, which is that in which both sides ended.
    """
    if state.plan is None:
        return
    items = await items_of(state.plan, blobs)
    pairs = [(item.original, replayed_id(state.replay_id, item.original)) for item in items]
    wanted = frozenset(one for pair in pairs for one in pair)
    found = await read_outcomes(bootstrap, codec, state.replay_id, wanted, 0)
    for start in range(0, len(pairs), AT_ONCE):
        part = pairs[start : start + AT_ONCE]
        problems = {original: _problem(original, new, found, purged) for original, new in part}
        ready = [one for original, new in part if not problems[original] for one in (original, new)]
        results = await read_results(bootstrap, codec, {one: found.ended[one] for one in ready})
        for begin in range(0, len(part), _BLOBS_AT_ONCE):
            some = part[begin : begin + _BLOBS_AT_ONCE]
            for diff in await gathered(
                [_diff(original, new, problems[original], results, blobs) for original, new in some]
            ):
                yield diff


def _problem(original: str, new: str, found: Outcomes, purged: Container[str]) -> str:
    before, after = found.ended.get(original), found.ended.get(new)
    if original in purged or new in purged:
        return "purged"
    if before is None:
        return "the original has not ended, or its result is gone"
    if after is None:
        return "not replayed, or not ended yet"
    return "" if after.status == JobStatus.DONE else f"the replay {after.status}"


async def _diff(original: str, new: str, problem: str, results: Mapping[str, JobResult], blobs: BlobStore) -> JobDiff:
    before, after = results.get(original), results.get(new)
    if problem or before is None or after is None:
        return JobDiff(original, new, problem=problem or "a result is gone")
    return await _compared(original, new, before, after, blobs)


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
