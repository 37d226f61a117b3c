"""The metrics of one stage, with their labels looked up once."""

import time

from streams.metric_kinds import Histogram
from streams.metrics import (
    STAGE_BUFFERED,
    STAGE_IN_FLIGHT,
    STAGE_OUTCOMES,
    STAGE_PAUSED,
    STAGE_RETRIES,
    STAGE_TOTAL_SECONDS,
    STAGE_WAIT_SECONDS,
    STAGE_WORK_SECONDS,
)

MODULES_APART = 200
"""How many modules' waits a stage tells apart, in each lane; later ones are counted together."""
OTHER_MODULES = "other"


class StageMetrics:
    """Counts what happens to the requests of one stage; times are in milliseconds. A process has one for each stage."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._lanes: dict[str, _LaneMetrics] = {}
        self._paused: bool | None = None

    def waiting(self, lane: str, change: int) -> None:
        """Requests came to wait, or wait no longer."""
        self._lane(lane).buffered += change

    def started(self, lane: str, module: str, waited_ms: int | None) -> None:
        """An attempt starts; `waited_ms` since the request was made, None for a repeated attempt."""
        metrics = self._lane(lane)
        metrics.in_flight += 1
        if waited_ms is not None:
            metrics.wait_of(module).observe(max(0, waited_ms) / 1000)

    def left(self, lane: str, worked_ms: int) -> None:
        """An attempt ended."""
        metrics = self._lane(lane)
        metrics.in_flight -= 1
        metrics.work.observe(worked_ms / 1000)

    def retried(self, lane: str) -> None:
        """An attempt failed and will be repeated."""
        self._lane(lane).retries.inc()

    def ended(self, lane: str, outcome: str, requested_at_ms: int) -> None:
        """A request left the stage."""
        metrics = self._lane(lane)
        metrics.outcomes[outcome].inc()
        metrics.total.observe(max(0.0, time.time() - requested_at_ms / 1000))

    def paused(self, now: bool) -> None:
        """An outage holds works back, or none does any more."""
        if now is not self._paused:
            self._paused = now
            STAGE_PAUSED.labels(self._stage).set(now)

    def _lane(self, lane: str) -> "_LaneMetrics":
        metrics = self._lanes.get(lane)
        if metrics is None:
            metrics = self._lanes[lane] = _LaneMetrics(self._stage, lane)
        return metrics


class _LaneMetrics:
    def __init__(self, stage: str, lane: str) -> None:
        # Read when a scrape comes: they move four times with each request, and are asked for every 15 s.
        self.buffered = self.in_flight = 0
        STAGE_BUFFERED.labels(stage, lane).set_function(lambda: self.buffered)
        STAGE_IN_FLIGHT.labels(stage, lane).set_function(lambda: self.in_flight)
        self.retries = STAGE_RETRIES.labels(stage, lane)
        self.work = STAGE_WORK_SECONDS.labels(stage, lane)
        self.total = STAGE_TOTAL_SECONDS.labels(stage, lane)
        self.outcomes = {o: STAGE_OUTCOMES.labels(stage, lane, o) for o in ("done", "failed", "cancelled")}
        self._place = (stage, lane)
        self._waits: dict[str, Histogram] = {}

    def wait_of(self, module: str) -> Histogram:
        """Return where a module's waits are counted."""
        wait = self._waits.get(module)
        if wait is None:
            # Modules come and go while a process runs, and what was counted once is told for ever.
            label = module if len(self._waits) < MODULES_APART else OTHER_MODULES
            wait = STAGE_WAIT_SECONDS.labels(*self._place, label)
            if label == module:
                self._waits[module] = wait
        return wait
