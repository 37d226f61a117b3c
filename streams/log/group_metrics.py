"""What is told of a consumer group's membership by those who use aiokafka's consumer as it is."""

from collections.abc import Collection

from aiokafka import ConsumerRebalanceListener, TopicPartition

from streams.metrics import CONSUMER_COMMIT_SECONDS, CONSUMER_REBALANCES


class CountedRebalances(ConsumerRebalanceListener):
    """Counts the assignments that a member of `group` gets: `count` are those of this member."""

    def __init__(self, group: str) -> None:
        self._group = group
        self.count = 0

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing is to be done before the assignment is known."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Count it."""
        del assigned
        self.count += 1
        CONSUMER_REBALANCES.labels(self._group).inc()


def committed(group: str) -> None:
    """Take note that a member of `group` has committed now."""
    CONSUMER_COMMIT_SECONDS.labels(group).set_to_current_time()
