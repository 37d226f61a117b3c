"""The metrics library's counter, gauge and histogram, with less to do an event.

The library checks a child's labels, builds their texts and takes a lock each time it is asked for a child; it walks a
histogram's buckets one by one and takes a lock for the bucket and one for the sum. A scrape says the same.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from threading import Lock
from typing import Any, Self

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString


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
    """Counts in buckets; without exemplars."""

    def _metric_init(self) -> None:
        self._lock_of_counts = Lock()
        self._counts = [0] * len(self._upper_bounds)
        self._total = 0.0

    def observe(self, amount: float) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - see the class
        """Count `amount`, which is in the unit of the metric's name."""
        with self._lock_of_counts:
            self._total += amount
            self._counts[bisect_left(self._upper_bounds, amount)] += 1

    def _child_samples(self) -> Iterable[Sample]:
        with self._lock_of_counts:
            counts, total = self._counts.copy(), self._total
        upto = [float(count) for count in accumulate(counts)]
        for bound, count in zip(self._upper_bounds, upto, strict=True):
            yield Sample("_bucket", {"le": floatToGoString(bound)}, count)
        yield Sample("_count", {}, upto[-1])
        yield Sample("_sum", {}, total)
