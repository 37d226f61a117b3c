"""Consumers of what the answers follow from, and of the answers themselves."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.log.bootstrap import client_options
from streams.log.reading import Silence
from streams.runtime.assignor import own_assignor

_FETCH_MS = 250
_SESSION_MS = 6_000
_POLL_MS = 500


def jobs_consumer(bootstrap: str, group: str | None) -> AIOKafkaConsumer:
    """Make a consumer of entries and results, or of answers, without those of transactions that were broken off."""
    return AIOKafkaConsumer(
        **client_options(bootstrap),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=_SESSION_MS,
        heartbeat_interval_ms=1_500,
        # What is asked of the broker in between waits for the end of a fetch, as much as this.
        fetch_max_wait_ms=_FETCH_MS if group else 100,
        partition_assignment_strategy=(own_assignor(),),
    )


async def whole(
    reader: AIOKafkaConsumer, partitions: Sequence[TopicPartition], begins: Mapping[TopicPartition, int] | None = None
) -> AsyncGenerator[Any]:
    """Yield every record of the partitions, or those from `begins` on, up to where they end now.

    Raises schemas.errors.Outage when records are there and none comes.
    """
    if not partitions:
        return
    reader.assign(list(partitions))
    await reader.seek_to_beginning(*partitions)
    ends = await reader.end_offsets(list(partitions))
    for tp, begin in (begins or {}).items():
        reader.seek(tp, max(begin, await reader.position(tp)))
    left, silence = set(partitions), Silence("reading a partition from its start")
    while left:
        for tp in tuple(left):
            if await reader.position(tp) >= ends[tp]:
                left.discard(tp)
                reader.pause(tp)
        if left:
            fetched = await reader.getmany(*left, timeout_ms=_POLL_MS)
            silence.note(fetched)
            for records in fetched.values():
                for record in records:
                    yield record


async def offsets_since(
    reader: AIOKafkaConsumer, partitions: Sequence[TopicPartition], at_ms: int
) -> dict[TopicPartition, int]:
    """Return where each partition's records from a time on begin: at its end where there is none."""
    if not partitions:
        return {}
    found = await reader.offsets_for_times(dict.fromkeys(partitions, at_ms))
    ends = await reader.end_offsets(list(partitions))
    return {tp: ends[tp] if (at := found.get(tp)) is None else at.offset for tp in partitions}
