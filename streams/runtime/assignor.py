"""Which member of a group gets which partitions: the same partition numbers of every lane, moved as little as possible.

aiokafka's sticky assignor balances the sum over a group's topics. With a topic a lane it moves whole lanes: of
two members that join one after the other, the first keeps all interactive partitions and the second gets the
idle ones. Here the lanes go together, so each member has its share of every lane.
"""

from collections.abc import Iterable, Mapping, Sequence

import orjson
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


def share_out(count: int, held: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Share the partitions 0 to `count` - 1 among members, who keep what they held as far as it is their share.

    Shares differ by one at most. Of two who claim the same partition the first by name keeps it.
    """
    members = sorted(held)
    kept: dict[str, list[int]] = {member: [] for member in members}
    free = set(range(count))
    smallest, larger = divmod(count, len(members))
    # Who held most keeps the larger shares: fewer partitions move.
    for member in sorted(members, key=lambda m: (-len(held[m]), m)):
        most = smallest + (larger > 0)
        kept[member] = sorted(free & set(held[member]))[:most]
        larger -= len(kept[member]) > smallest
        free -= set(kept[member])
    for number in sorted(free):
        poorest = min(members, key=lambda m: (len(kept[m]), m))
        kept[poorest] = sorted([*kept[poorest], number])
    return kept


def own_assignor() -> type[AbstractPartitionAssignor]:
    """Return an assignor for one consumer.

    What a member holds is kept on the class, as aiokafka calls class methods only: two consumers of one
    process (two stages, or two workers in a test) would claim each other's partitions.
    """

    class LaneAssignor(AbstractPartitionAssignor):
        name = "lanes"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride] - as aiokafka's own do
        version = 0
        held: tuple[int, ...] = ()

        @classmethod
        def assign(
            cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
        ) -> dict[str, ConsumerProtocolMemberAssignment]:
            topics = sorted({topic for metadata in members.values() for topic in metadata.subscription})
            counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
            held = {member: _held(metadata.user_data) for member, metadata in members.items()}
            shares = share_out(max(counts.values(), default=0), held)
            return {
                member: ConsumerProtocolMemberAssignment(
                    cls.version, [(topic, [n for n in numbers if n < counts[topic]]) for topic in topics], b""
                )
                for member, numbers in shares.items()
            }

        @classmethod
        def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
            return ConsumerProtocolMemberMetadata(cls.version, list(topics), orjson.dumps(cls.held))

        @classmethod
        def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
            cls.held = tuple(sorted({n for _, numbers in assignment.assignment for n in numbers}))

    return LaneAssignor


def _held(user_data: bytes | None) -> list[int]:
    try:
        told = orjson.loads(user_data or b"[]")
    except orjson.JSONDecodeError:
        return []
    return [n for n in told if isinstance(n, int)] if isinstance(told, list) else []
