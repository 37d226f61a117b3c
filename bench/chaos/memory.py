"""How the memory of every process goes over a run."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil

_EVERY_S = 2.0
_WARM_S = 30.0
_MIB = 1024 * 1024


@dataclass(slots=True)
class MemoryLog:
    """Samples (seconds, bytes) by process name and pid."""

    samples: dict[tuple[str, int], list[tuple[float, int]]] = field(default_factory=dict)

    async def watch(self, pids: Callable[[], Mapping[str, int]]) -> None:
        """Take samples, for ever."""
        while True:
            self.sample(pids(), time.monotonic())
            await asyncio.sleep(_EVERY_S)

    def sample(self, pids: Mapping[str, int], now: float) -> None:
        """Take a sample of each process that lives; one that was killed and not yet reaped holds nothing."""
        for name, pid in pids.items():
            try:
                size = psutil.Process(pid).memory_info().rss
            except psutil.Error:
                continue
            if size:
                self.samples.setdefault((name, pid), []).append((now, size))

    def slopes(self) -> dict[str, dict[str, float]]:
        """Return for each name how its longest-lived process grew: MiB at its end, MiB/min and minutes seen.

        The first half minute of a life is left out: it is spent with imports and first calls.
        """
        longest: dict[str, list[tuple[float, int]]] = {}
        for (name, _), points in self.samples.items():
            settled = [p for p in points if p[0] - points[0][0] >= _WARM_S]
            if len(settled) > len(longest.get(name, ())):
                longest[name] = settled
        return {
            name: {
                "mib": round(points[-1][1] / _MIB, 1),
                "mib_per_min": round(slope(points) * 60 / _MIB, 2),
                "minutes": round((points[-1][0] - points[0][0]) / 60, 1),
            }
            for name, points in sorted(longest.items())
        }


def slope(points: list[tuple[float, int]]) -> float:
    """Return the slope of the line of least squares through the points; 0 for less than two."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
