"""Where the job-state group stands on the log: the offsets it will go on from."""

from collections.abc import Iterable
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import JOB_EVENTS, RESULTS
from streams.log.kafka_errors import translate
from streams.redis_keys import Offsets


class Positions(Protocol):
    """Tells from where partitions are consumed, and where they end."""

    async def read(self, partitions: Iterable[int]) -> dict[int, tuple[Offsets, Offsets]]:
        """Return for each partition the next offsets of the group and the ends of the log.

        Raises schemas.errors.GatewayError when the log cannot tell.
        """
        ...


class GroupPositions:
    """Asks Kafka, as the group, without joining it."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._bootstrap = bootstrap
        self._group = group

    async def read(self, partitions: Iterable[int]) -> dict[int, tuple[Offsets, Offsets]]:
        """See Positions."""
        wanted = sorted(partitions)
        topics = (JOB_EVENTS.name, RESULTS.name)
        every = [TopicPartition(topic, p) for topic in topics for p in wanted]
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=self._group, enable_auto_commit=False)
        try:
            await consumer.start()
            consumer.assign(every)
            first = await consumer.beginning_offsets(every)
            last = await consumer.end_offsets(every)
            committed = {tp: await consumer.committed(tp) for tp in every}
        except (KafkaError, OSError, TimeoutError) as e:
            raise translate(e, f"reading the offsets of group {self._group}") from e
        finally:
            await consumer.stop()
        # Without a commit, or where retention has removed what follows it, reading begins at the first record.
        following = {tp: max(committed[tp] or 0, first[tp]) for tp in every}
        return {p: (_offsets(following, p), _offsets(last, p)) for p in wanted}


def _offsets(by_partition: dict[TopicPartition, int], partition: int) -> Offsets:
    return Offsets(
        by_partition[TopicPartition(JOB_EVENTS.name, partition)],
        by_partition[TopicPartition(RESULTS.name, partition)],
    )
