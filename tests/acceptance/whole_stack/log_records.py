"""Reads what stands on topics, with a plain consumer."""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition


async def read_topic(bootstrap: str, topic: str) -> list[Any]:
    """Return every record (aiokafka's ConsumerRecord) that is on `topic` now, partition by partition."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()  # without a group: it reads all partitions from their start
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        left = {tp for tp in partitions if ends[tp] > begins[tp]}
        records: list[Any] = []
        while left:
            for batch in (await consumer.getmany(timeout_ms=1000)).values():
                records.extend(batch)
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
        return sorted(records, key=lambda r: (r.partition, r.offset))
    finally:
        await consumer.stop()
