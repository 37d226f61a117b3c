"""How far each consumer group is behind, and how old the oldest record is that it has not finished.

Measured from outside, so that it is known of a group none of whose members runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import Topic
from streams.watch.ages import Ages


@dataclass(frozen=True, slots=True)
class Lateness:
    """One group on one topic. `oldest_s` is the age of the oldest unfinished record; 0 when there is none.

    None when its turn did not come this time.
    """

    group: str
    topic: str
    records: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Replication:
    """The state of the cluster's partitions."""

    brokers: int
    under_replicated: int
    leaderless: int


def replication_of(brokers: int, topics: Iterable[Mapping[str, Any]]) -> Replication:
    """Judge what `describe_topics` told. Pure."""
    under = leaderless = 0
    for topic in topics:
        for partition in topic["partitions"]:
            under += len(partition["isr"]) < len(partition["replicas"])
            leaderless += partition["leader"] < 0
    return Replication(brokers, under, leaderless)


def behind(
    first: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int], committed: Mapping[TopicPartition, int]
) -> dict[TopicPartition, tuple[int, int]]:
    """Return the next offset and the number of records left of each partition that has some left. Pure.

    What retention has removed is no longer waiting for anybody.
    """
    left: dict[TopicPartition, tuple[int, int]] = {}
    for partition, last in end.items():
        at = max(committed.get(partition, 0), first[partition])
        if last > at:
            left[partition] = (at, last - at)
    return left


async def measure(
    client: AIOKafkaAdminClient,
    consumer: AIOKafkaConsumer,
    ages: Ages,
    groups: Mapping[str, Iterable[Topic]],
    partitions_of: Mapping[str, int],
) -> list[Lateness]:
    """Look at every group and topic once. Raises what aiokafka raises."""
    every = [
        TopicPartition(topic.name, number)
        for topics in groups.values()
        for topic in topics
        for number in range(partitions_of.get(topic.name, 0))
    ]
    if not every:
        return []
    first, end = await consumer.beginning_offsets(every), await consumer.end_offsets(every)
    left: dict[tuple[str, str], dict[TopicPartition, tuple[int, int]]] = {}
    for group, topics in groups.items():
        names = {topic.name for topic in topics}
        answered = await client.list_consumer_group_offsets(group)
        committed = {tp: meta.offset for tp, meta in answered.items()}
        own = {tp: last for tp, last in end.items() if tp.topic in names}
        left |= {(group, name): {} for name in sorted(names)}
        for tp, waiting in behind(first, own, committed).items():
            left[group, tp.topic][tp] = waiting
    asked = {key: {tp: at for tp, (at, _) in waiting.items()} for key, waiting in left.items() if waiting}
    oldest = await ages.look(consumer, asked)
    return [
        Lateness(*key, sum(count for _, count in waiting.values()), oldest.get(key) if waiting else 0.0)
        for key, waiting in left.items()
    ]
