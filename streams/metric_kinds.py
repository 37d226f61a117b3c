"""The metrics library's counter, gauge and histogram, with less to do an event.

The library checks a child's labels, builds their texts and takes a lock each time it is asked for a child, and walks a
histogram's buckets one by one. What is counted and what a scrape says is the library's, unchanged.
"""

from bisect import bisect_left
from typing import Any, Self

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase


class _Known(MetricWrapperBase):
    """Finds a child that was asked for before in one look at the library's own table of them.

    So there is no second table to keep true, and nothing is kept that a scrape does not tell.
    """

    def labels(self, *labelvalues: Any, **labelkwargs: Any) -> Self:
        """Return the child of these label values; cheapest when they are texts and in their order."""
        known: Self | None = self._metrics.get(labelvalues)  # pyright: ignore[reportAssignmentType]
        return super().labels(*labelvalues, **labelkwargs) if known is None else known

    def _raise_if_not_observable(self) -> None:
        """Check nothing: a metric whose labels were forgotten has nothing to count on, and that raises."""


class Counter(_Known, prometheus_client.Counter):
    """Only goes up."""


class Gauge(_Known, prometheus_client.Gauge):
    """Goes up and down."""


class Histogram(_Known, prometheus_client.Histogram):
    """Counts in buckets."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count `amount`, which is in the unit of the metric's name."""
        if exemplar is not None:
            super().observe(amount, exemplar)
            return
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)
