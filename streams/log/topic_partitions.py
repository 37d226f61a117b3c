"""A topic's partitions: which there are, and which one a key's records are in."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2


def partition_of(key: bytes, count: int) -> int:
    """Return the partition of a key among `count`: Kafka's own rule, by which every writer here goes."""
    return (murmur2(key) & 0x7FFFFFFF) % count


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic, in order; none when there is no such topic."""
    # The client learns of a topic with the first question about it.
    await consumer.end_offsets([TopicPartition(topic, 0)])
    return [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
