"""Records that were skipped are asked for again, and nothing behind them is folded meanwhile."""

from types import SimpleNamespace
from typing import Any

from schemas.topics import JOB_EVENTS, RESULTS
from streams.redis_keys import Offsets
from streams.tables.gaps import Gaps


def event(offset: int, partition: int = 0, topic: str = JOB_EVENTS.name) -> Any:
    return SimpleNamespace(topic=topic, partition=partition, offset=offset)


def test_what_follows_on_and_what_is_repeated_is_folded() -> None:
    batch = [event(3), event(4), event(7, topic=RESULTS.name), event(5), event(8, topic=RESULTS.name)]
    assert Gaps(lambda: 0.0).split(batch, {0: Offsets(4, 7)}) == (batch, [], False)


def test_a_jump_is_read_again_and_other_partitions_go_on() -> None:
    now = [0.0]
    gaps = Gaps(lambda: now[0])
    folded = {0: Offsets(4, 7), 1: Offsets(0, 0)}
    fine = event(0, 1)
    assert gaps.split([event(4), event(6), fine, event(7)], folded) == ([event(4), fine], [0], True)
    # What is still in the stream behind the gap is left out too, without asking at every batch.
    now[0] = 0.5
    assert gaps.split([event(8)], {0: Offsets(5, 7)}) == ([], [], True)
    now[0] = 1.0
    assert gaps.split([event(9)], {0: Offsets(5, 7)}) == ([], [0], True)
    assert gaps.split([event(5), event(6)], {0: Offsets(5, 7)}) == ([event(5), event(6)], [], False)


def test_a_gap_that_stays_was_made_by_retention() -> None:
    now = [0.0]
    gaps = Gaps(lambda: now[0])
    assert gaps.split([event(100)], {0: Offsets(4, 0)})[2]
    now[0] = 15.0
    assert gaps.split([event(100), event(101)], {0: Offsets(4, 0)}) == ([event(100), event(101)], [], False)
