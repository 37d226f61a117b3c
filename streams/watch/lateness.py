"""How far each consumer group is behind, and how old the oldest record is that it has not finished.

Measured from outside, so that it is known of a group none of whose members runs.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import Topic

_FETCH_MS = 2_000
_MOST_PARTITIONS = 64
"""Partitions whose oldest record is asked for at once: each answer is a whole batch, up to a megabyte."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """One group on one topic. `oldest_s` is the age of the oldest unfinished record; 0 when there is none."""

    group: str
    topic: str
    records: int
    oldest_s: float


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
    found: list[Lateness] = []
    for group, topics in groups.items():
        names = {topic.name for topic in topics}
        answered = await client.list_consumer_group_offsets(group)
        committed = {tp: meta.offset for tp, meta in answered.items()}
        own = {tp: last for tp, last in end.items() if tp.topic in names}
        left = behind(first, own, committed)
        oldest = await _oldest(consumer, {tp: at for tp, (at, _) in left.items()})
        for name in sorted(names):
            records = sum(count for tp, (_, count) in left.items() if tp.topic == name)
            ages = [age for tp, age in oldest.items() if tp.topic == name]
            found.append(Lateness(group, name, records, max(ages, default=0.0)))
    return found


async def _oldest(
    consumer: AIOKafkaConsumer, next_offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, float]:
    every, ages = list(next_offsets.items()), dict[TopicPartition, float]()
    for start in range(0, len(every), _MOST_PARTITIONS):
        ages |= await _oldest_of(consumer, dict(every[start : start + _MOST_PARTITIONS]))
    return ages


async def _oldest_of(
    consumer: AIOKafkaConsumer, looked_at: Mapping[TopicPartition, int]
) -> dict[TopicPartition, float]:
    consumer.assign(list(looked_at))
    for partition, offset in looked_at.items():
        consumer.seek(partition, offset)
    ages: dict[TopicPartition, float] = {}
    until = time.monotonic() + _FETCH_MS / 1000
    while len(ages) < len(looked_at) and (left_s := until - time.monotonic()) > 0:
        waiting = [partition for partition in looked_at if partition not in ages]
        batches = await consumer.getmany(*waiting, timeout_ms=int(left_s * 1000) + 1, max_records=len(waiting))
        for partition, records in batches.items():
            if records and partition not in ages:
                ages[partition] = max(0.0, time.time() - records[0].timestamp / 1000)
    consumer.unsubscribe()
    return ages
