"""Since when records have waited that a consumer group has not committed, asked from outside of the group."""

from collections.abc import Collection

from aiokafka import TopicPartition

from streams.log.admin import kafka_admin
from streams.log.kafka_errors import translated
from streams.log.reading import Silence, open_reader
from streams.log.topic_partitions import partitions_of

_POLL_MS = 1_000


async def unread_since_ms(bootstrap: str, group: str, topics: Collection[str]) -> dict[str, int]:
    """Return the time of the oldest uncommitted record by topic; what has none, or is no topic, is left out.

    Raises schemas.errors.Outage.
    """
    async with kafka_admin(bootstrap) as admin:
        there = sorted((await admin.topic_names()).intersection(topics))
        committed = await admin.committed(group) if there else {}
    doing = f"looking for what {group} has not read"
    found: dict[str, int] = {}
    with translated(doing):
        async with open_reader(bootstrap, doing) as consumer:
            every = [tp for name in there for tp in await partitions_of(consumer, name)]
            if not every:
                return {}
            first, end = await consumer.beginning_offsets(every), await consumer.end_offsets(every)
            at = {tp: max(committed.get(tp, 0), first[tp]) for tp in every}
            left: set[TopicPartition] = {tp for tp in every if at[tp] < end[tp]}
            consumer.assign(list(left))
            for tp in left:
                consumer.seek(tp, at[tp])
            silence = Silence(doing)
            while left:
                fetched = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=len(left))
                silence.note(fetched)
                for tp, records in fetched.items():
                    found[tp.topic] = min(found.get(tp.topic, records[0].timestamp), records[0].timestamp)
                # By the position too: a transaction's end has an offset and never comes.
                for tp in [tp for tp in left if tp in fetched or await consumer.position(tp) >= end[tp]]:
                    left.discard(tp)
                    consumer.pause(tp)
    return found
