"""The plans of replays: what they hold, the records that they name, and how long they are kept."""

import time
from collections.abc import AsyncGenerator, Sequence
from itertools import groupby

from schemas.errors import Outage
from schemas.replays import ReplayPlan, ReplayStatus
from schemas.topics import JOB_RETENTION
from streams.log.kafka_times import read_offsets
from streams.log.protocols import Partition
from streams.logs import get_logger
from streams.replay.planner import Item, decode_items
from streams.replay.view import Replays
from streams.storage import claim_check
from streams.storage.blobs import BlobStore

log = get_logger(__name__)

_KEPT_MS = int(JOB_RETENTION.total_seconds() * 1000)


async def keep_plans(replays: Replays, blobs: BlobStore) -> None:
    """Touch the plans of replays that may still be compared or promoted: their services may keep blobs for a day."""
    since_ms = time.time_ns() // 1_000_000 - _KEPT_MS
    for state in replays.all():
        decided = state.status in (ReplayStatus.PROMOTED, ReplayStatus.DISCARDED)
        if state.plan is None or state.plan.items is None or decided or state.started_at_ms < since_ms:
            continue
        if state.plan.items.blob is not None:
            try:
                await blobs.touch(state.plan.items.blob)
            except Outage as e:
                log.warning("replay.plan_not_touched", replay_id=state.replay_id, code=e.code)
                return


async def items_of(found: ReplayPlan, blobs: BlobStore) -> list[Item]:
    """Return what a plan holds. Raises BlobMissing, or Outage."""
    return [] if found.items is None else decode_items(await claim_check.read(found.items, blobs))


async def records_of(bootstrap: str, items: Sequence[Item]) -> AsyncGenerator[list[tuple[Item, bytes | None]]]:
    """Yield items with their records' values, in their order; None where retention has removed one since."""
    for place, own in groupby(items, key=lambda item: Partition(item.topic, item.partition)):
        wanted = list(own)
        at = 0
        async for batch in read_offsets(bootstrap, {place: (wanted[0].offset, wanted[-1].offset + 1)}):
            values = {record.offset: record.value for record in batch}
            reached = batch[-1].offset if batch else -1
            upto = next((i for i in range(at, len(wanted)) if wanted[i].offset > reached), len(wanted))
            yield [(item, values.get(item.offset)) for item in wanted[at:upto]]
            at = upto
        if at < len(wanted):
            yield [(item, None) for item in wanted[at:]]
