"""Records that were skipped are asked for again, and nothing behind them is folded meanwhile."""

from schemas.topics import JOB_EVENTS, RESULTS
from streams.log.protocols import LogRecord
from streams.redis_keys import Offsets
from streams.tables.gaps import Gaps, Split

TOPICS = (JOB_EVENTS.name, RESULTS.name)


def event(offset: int, partition: int = 0, topic: str = JOB_EVENTS.name) -> LogRecord:
    return LogRecord(topic, partition, offset, b"k", b"v", {}, 0)


def test_what_follows_on_and_what_is_repeated_is_kept() -> None:
    batch = [event(3), event(4), event(7, topic=RESULTS.name), event(5), event(8, topic=RESULTS.name)]
    assert Gaps(TOPICS).split(batch, {0: Offsets(4, 7)}) == Split(batch, [])


def test_a_jump_is_read_again_and_other_partitions_go_on() -> None:
    now = [0.0]
    gaps = Gaps(TOPICS, lambda: now[0])
    folded = {0: Offsets(4, 7), 1: Offsets(0, 0)}
    fine = event(0, 1)
    assert gaps.split([event(4), event(6), fine, event(7)], folded) == Split([event(4), fine], [0])
    # What is still in the stream behind the gap is left out too, without asking at every batch.
    now[0] = 0.5
    assert gaps.split([event(8)], {0: Offsets(5, 7)}) == Split([], [])
    now[0] = 1.0
    assert gaps.split([event(9)], {0: Offsets(5, 7)}) == Split([], [0])
    assert gaps.split([event(5), event(6)], {0: Offsets(5, 7)}) == Split([event(5), event(6)], [])


def test_a_jump_on_the_second_topic_is_one_too() -> None:
    behind = event(9, topic=RESULTS.name)
    assert Gaps(TOPICS).split([event(4), behind], {0: Offsets(4, 7)}) == Split([event(4)], [0])


def test_what_the_log_no_longer_has_is_not_waited_for() -> None:
    gaps = Gaps(TOPICS)
    assert gaps.split([event(100)], {0: Offsets(4, 0)}) == Split([], [0])
    gaps.begins(0, Offsets(100, 0))
    assert gaps.split([event(100), event(101)], {0: Offsets(4, 0)}) == Split([event(100), event(101)], [])


def test_a_log_that_begins_before_the_gap_still_has_what_is_missing() -> None:
    gaps = Gaps(TOPICS)
    gaps.begins(0, Offsets(2, 0))
    assert gaps.split([event(100)], {0: Offsets(4, 0)}) == Split([], [0])


def test_a_single_topic_has_gaps_as_well() -> None:
    gaps = Gaps(("usage.events",))
    assert gaps.split([event(3, topic="usage.events")], {0: Offsets(2, 0)}) == Split([], [0])


def test_a_partition_that_is_not_held_is_none_of_its_business() -> None:
    assert Gaps(TOPICS).split([event(3)], {}) == Split([event(3)], [])
