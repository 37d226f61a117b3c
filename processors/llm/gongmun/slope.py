"""How the lines of a page lean, so that words of skewed scans and photos find their visual line."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from schemas.pages import Word

_MIN_SPAN = 0.18
_TELLING_LINES = 5
_BETTER = 0.6
"""By how much nearer the lines must be to a change of slope than to none for it to be believed."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A line through (x, y) rises by `level + change * (y - 0.5)` per unit of x (fractions of the page)."""

    level: float = 0.0
    change: float = 0.0
    squared_aspect: float = 2.0

    def at(self, y: float) -> float:
        """Return dy/dx of a line at height `y`."""
        return self.level + self.change * (y - 0.5)

    def flat(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point would be were the page straight."""
        lean = self.at(y)
        return x + self.level * self.squared_aspect * (y - 0.5), y - lean * (x - 0.5)


def page_slope(words: Sequence[Word], width: int, height: int) -> Slope:
    """Estimate the slope of a page from the engine's own lines; flat when there is too little to go by."""
    rows: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        if len(word.text) > 1:
            rows.setdefault((word.block, word.line), []).append(word)
    samples: list[tuple[float, float]] = []
    for row in rows.values():
        first, last = min(row, key=lambda w: w.box[0]), max(row, key=lambda w: w.box[2])
        (x0, y0), (x1, y1) = _centre(first), _centre(last)
        if x1 - x0 >= _MIN_SPAN:
            samples.append(((y0 + y1) / 2, (y1 - y0) / (x1 - x0)))
    aspect = (height / width) ** 2 if width and height else 2.0
    if not samples:
        return Slope(squared_aspect=aspect)
    flat = median(lean for _, lean in samples)
    level, change = flat, 0.0
    # A photo's lines lean differently at its top and bottom; fewer lines tell little of it.
    trend = _trend(samples) if len(samples) >= _TELLING_LINES else 0.0
    if trend:
        middle = median(lean - trend * (y - 0.5) for y, lean in samples)
        if _spread(samples, middle, trend) < _BETTER * _spread(samples, flat, 0.0):
            level, change = middle, trend
    if abs(level) < 0.0012 and abs(change) < 0.004:
        return Slope(squared_aspect=aspect)
    return Slope(level, change, aspect)


def _spread(samples: Sequence[tuple[float, float]], level: float, change: float) -> float:
    """Return by how much the lines differ from a slope, in the middle."""
    return median(abs(lean - level - change * (y - 0.5)) for y, lean in samples)


def _centre(word: Word) -> tuple[float, float]:
    return (word.box[0] + word.box[2]) / 2, (word.box[1] + word.box[3]) / 2


def _trend(samples: Sequence[tuple[float, float]]) -> float:
    """Return the median change of slope per unit of height (Theil-Sen), 0 when the heights are too close."""
    changes = [
        (b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(samples) for b in samples[i + 1 :] if abs(b[0] - a[0]) > 0.2
    ]
    return median(changes) if changes else 0.0
