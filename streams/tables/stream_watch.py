"""Sees to it that every record of a table's topics reaches its stream.

Faust may read a record while a rebalance or a recovery ends, and drop it: the group's position is behind
it from then on, and nothing brings it back before the next rebalance. So it is compared how far the
process has folded with where the log ends; a partition that does not move is read again from where it
stands. Folds do not mind what comes twice.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

from schemas.errors import Outage
from streams.logs import get_logger
from streams.redis_keys import Offsets
from streams.tables.log_ends import LogEnds

log = get_logger(__name__)

_EVERY_S = 1.0
_STUCK_AFTER_S = 3.0
_HOPELESS_AFTER = 5

Rewind = Callable[[int, Offsets], Awaitable[None]]


class StreamWatch:
    """Looks how far each partition is. `rewind` makes the consumer read a partition again from given offsets."""

    def __init__(self, ends: LogEnds, rewind: Rewind) -> None:
        self._ends = ends
        self._rewind = rewind
        self._looked_at = 0.0
        self._since: dict[int, tuple[Offsets, float]] = {}
        self._rewound: dict[int, int] = {}

    async def look(self, folded: Mapping[int, Offsets], busy: bool) -> str:
        """Rewind partitions that are stuck; returns a reason when that does not help, else an empty text.

        `busy`: a batch is being worked on, so that nothing can move now.
        """
        now = time.monotonic()
        if now - self._looked_at < _EVERY_S:
            return ""
        self._looked_at = now
        if busy or not folded:
            self._since.clear()
            return ""
        ordered = sorted(folded)
        try:
            ends = await self._ends.all_ends(ordered)
        except Outage:
            self._since.clear()
            return ""
        for p in ordered:
            end, at = ends[p], folded[p]
            since = self._since.get(p)
            if at.covers(end):
                self._since.pop(p, None)
                self._rewound.pop(p, None)
            elif since is None or since[0] != at:
                self._since[p] = (at, now)
            elif now - since[1] >= _STUCK_AFTER_S:
                self._rewound[p] = self._rewound.get(p, 0) + 1
                if self._rewound[p] > _HOPELESS_AFTER:
                    return f"records of partition {p} do not come, though they were asked for {_HOPELESS_AFTER} times"
                log.warning("table.stuck", partition=p, events=at.events, results=at.results)
                await self._rewind(p, at)
                self._since[p] = (at, now)
        return ""
