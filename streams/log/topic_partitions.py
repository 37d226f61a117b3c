"""A topic's partitions: which there are, and which one a key's records are in."""

import struct
from functools import lru_cache

from aiokafka import AIOKafkaConsumer, TopicPartition

_SEED, _MIX, _MASK = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return Kafka's own hash of a key, 32 bits.

    Source: MurmurHash2 by Austin Appleby, as in Kafka's `Utils.murmur2`. aiokafka goes byte by byte, in twice the
    time.
    """
    whole, rest = divmod(len(data), 4)
    found = _SEED ^ len(data)
    for part in struct.unpack_from(f"<{whole}I", data):
        part = part * _MIX & _MASK
        found = found * _MIX & _MASK ^ (part ^ part >> 24) * _MIX & _MASK
    if rest:
        found = (found ^ int.from_bytes(data[-rest:], "little")) * _MIX & _MASK
    found = (found ^ found >> 13) * _MIX & _MASK
    return found ^ found >> 15


@lru_cache(maxsize=65_536)  # the records of a job have one key, and follow one another
def _positive_hash(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF


def partition_of(key: bytes, count: int) -> int:
    """Return the partition of a key among `count`: Kafka's own rule, by which every writer here goes."""
    return _positive_hash(key) % count


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic, in order; none when there is no such topic."""
    # The client learns of a topic with the first question about it.
    await consumer.end_offsets([TopicPartition(topic, 0)])
    return [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
