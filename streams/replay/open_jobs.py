"""How many jobs of a replay may be open at a time. Pure.

A replay is paused, or cancelled, while its jobs wait for a model: what was started would be worked on for hours.
"""

from collections import deque

LEAST_OPEN = 64
_WORK_S = 10.0


class Window:
    """As many open jobs as end in 20 s, by the last 10; at least LEAST_OPEN, so that no processor is idle."""

    def __init__(self) -> None:
        self._ended: deque[tuple[float, int]] = deque()

    def note(self, count: int, now_s: float) -> None:
        """Note that so many jobs have ended."""
        self._ended.append((now_s, count))
        while self._ended[0][0] < now_s - _WORK_S:
            self._ended.popleft()

    def room(self, open_jobs: int) -> int:
        """Return how many more may be started."""
        return max(LEAST_OPEN, 2 * sum(count for _, count in self._ended)) - open_jobs
