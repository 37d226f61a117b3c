"""Where a group that folds stands on the log: the offsets it will go on from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from aiokafka import TopicPartition

from schemas.topics import JOB_EVENTS, RESULTS
from streams.log.kafka_errors import translated
from streams.log.reading import open_reader
from streams.redis_keys import Offsets


class Positions(Protocol):
    """Tells from where partitions are consumed, and where they end."""

    async def read(self, partitions: Iterable[int]) -> dict[int, tuple[Offsets, Offsets]]:
        """Return for each partition the next offsets of the group and the ends of the log.

        Raises schemas.errors.GatewayError when the log cannot tell.
        """
        ...


class GroupPositions:
    """Asks Kafka, as the group, without joining it; `topics` are one or two, those of Offsets in their order."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str] = (JOB_EVENTS.name, RESULTS.name)) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = topics

    async def read(self, partitions: Iterable[int]) -> dict[int, tuple[Offsets, Offsets]]:
        """See Positions."""
        wanted = sorted(partitions)
        every = [TopicPartition(topic, p) for topic in self._topics for p in wanted]
        doing = f"reading the offsets of group {self._group}"
        with translated(doing):
            async with open_reader(self._bootstrap, doing, group_id=self._group) as consumer:
                consumer.assign(every)
                first = await consumer.beginning_offsets(every)
                last = await consumer.end_offsets(every)
                committed = {tp: await consumer.committed(tp) for tp in every}
        # Without a commit, or where retention has removed what follows it, reading begins at the first record.
        following = {tp: max(committed[tp] or 0, first[tp]) for tp in every}
        return {p: (self._offsets(following, p), self._offsets(last, p)) for p in wanted}

    def _offsets(self, by_partition: Mapping[TopicPartition, int], partition: int) -> Offsets:
        found = [by_partition[TopicPartition(topic, partition)] for topic in self._topics]
        return Offsets(found[0], found[1] if len(found) > 1 else 0)
