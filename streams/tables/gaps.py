"""Finds records that were skipped: the offsets of a partition that is folded follow one another.

Faust may drop what it read while a rebalance or a recovery ends, and go on behind it; the group then commits
past records that nobody folded. The topics that are folded have no transactions and are not compacted, so a
jump in their offsets means exactly that, or that retention took records before they were read. Which of the
two it is, the beginning of the log tells.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from streams.log.protocols import LogRecord
from streams.redis_keys import Offsets

_ASK_EVERY_S = 1.0


class Split(NamedTuple):
    """`records` follow on; `due` are the partitions with a gap that are to be read again now."""

    records: list[LogRecord]
    due: list[int]


class Gaps:
    """Splits batches into what follows on and what comes behind a gap; `topics` in the order of Offsets."""

    def __init__(self, topics: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._topics = topics
        self._clock = clock
        self._begins: dict[int, Offsets] = {}
        self._asked: dict[int, float] = {}

    def split(self, records: Sequence[LogRecord], folded: Mapping[int, Offsets]) -> Split:
        """Take the records that follow on from `folded`, the next offsets of each partition."""
        following: dict[tuple[str, int], int] = {}
        kept: list[LogRecord] = []
        behind: set[int] = set()
        for record in records:
            place = record.topic, record.partition
            expected = following.get(place, self._expected(folded, *place))
            if expected is not None and record.offset > expected:
                behind.add(record.partition)
                continue
            kept.append(record)
            following[place] = max(expected or 0, record.offset + 1)
        now = self._clock()
        due = [p for p in sorted(behind) if now - self._asked.get(p, -_ASK_EVERY_S) >= _ASK_EVERY_S]
        self._asked.update(dict.fromkeys(due, now))
        return Split(kept, due)

    def begins(self, partition: int, at: Offsets) -> None:
        """Learn where the log of a partition begins: what stood before that cannot be read again."""
        self._begins[partition] = at

    def _expected(self, folded: Mapping[int, Offsets], topic: str, partition: int) -> int | None:
        at = folded.get(partition)
        if at is None:
            return None
        place = self._topics.index(topic)
        offset, begin = (_nth(offsets, place) for offsets in (at, self._begins.get(partition, at)))
        return max(offset, begin) if offset >= 0 else None


def _nth(offsets: Offsets, place: int) -> int:
    return offsets.results if place else offsets.events
