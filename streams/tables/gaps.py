"""Finds records that were skipped: the offsets of a partition that is folded follow one another.

Faust may drop what it read while a rebalance or a recovery ends, and go on behind it; the group then commits
past records that nobody folded. The topics of jobs have no transactions and are not compacted, so a jump in
their offsets means exactly that, or that retention took records before they were read.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas.topics import JOB_EVENTS
from streams.redis_keys import Offsets

_ASK_EVERY_S = 1.0
_BELIEVE_AFTER_S = 15.0


class Gaps:
    """Splits batches into what follows on and what comes behind a gap."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[tuple[str, int], tuple[int, float]] = {}
        self._asked: dict[int, float] = {}

    def split(self, messages: Sequence[Any], folded: Mapping[int, Offsets]) -> tuple[list[Any], list[int], bool]:
        """Return the messages to fold, the partitions to be read again now, and whether any message is left out.

        `folded` tells the next offsets of each partition. A gap that is still there after 15 s of reading again
        is believed: retention made it.
        """
        following: dict[tuple[str, int], int] = {}
        kept: list[Any] = []
        behind: set[int] = set()
        for message in messages:
            place = message.topic, message.partition
            expected = following.get(place, _expected(folded, *place))
            if expected is not None and message.offset > expected and not self._believed(place, expected):
                behind.add(message.partition)
                continue
            kept.append(message)
            following[place] = max(expected or 0, message.offset + 1)
        now = self._clock()
        due = [p for p in sorted(behind) if now - self._asked.get(p, -_ASK_EVERY_S) >= _ASK_EVERY_S]
        self._asked.update(dict.fromkeys(due, now))
        return kept, due, bool(behind)

    def _believed(self, place: tuple[str, int], expected: int) -> bool:
        now = self._clock()
        at, since = self._since.get(place, (-1, now))
        if at != expected:
            self._since[place] = (expected, now)
            return False
        return now - since >= _BELIEVE_AFTER_S


def _expected(folded: Mapping[int, Offsets], topic: str, partition: int) -> int | None:
    at = folded.get(partition)
    if at is None:
        return None
    offset = at.events if topic == JOB_EVENTS.name else at.results
    return offset if offset >= 0 else None
