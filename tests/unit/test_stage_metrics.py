"""What a stage tells of its modules' waits."""

from prometheus_client import REGISTRY

from streams.metrics import STAGE_WAIT_SECONDS
from streams.runtime.stage_metrics import MODULES_APART, OTHER_MODULES, StageMetrics

Waits = dict[tuple[str, str], dict[str, float]]


def waits(stage: str) -> Waits:
    """How many waits there were and how many seconds together, by lane and module."""
    found: Waits = {}
    samples = [sample for metric in STAGE_WAIT_SECONDS.collect() for sample in metric.samples]
    for sample in samples:
        part = sample.name.removeprefix("gateway_stage_wait_seconds_")
        if sample.labels["stage"] == stage and part in ("count", "sum"):
            found.setdefault((sample.labels["lane"], sample.labels["module"]), {})[part] = sample.value
    return found


def test_the_wait_of_each_module_is_told_apart_and_that_of_a_repeated_attempt_not_at_all() -> None:
    metrics = StageMetrics("waits-apart")
    metrics.started("interactive", "letters", 2000)
    metrics.started("interactive", "letters", 1000)
    metrics.started("bulk", "letters", 500)
    metrics.started("interactive", "pages", 250)
    metrics.started("interactive", "pages", None)
    metrics.started("interactive", "pages", -3)  # clocks of two machines
    assert waits("waits-apart") == {
        ("interactive", "letters"): {"count": 2, "sum": 3},
        ("bulk", "letters"): {"count": 1, "sum": 0.5},
        ("interactive", "pages"): {"count": 2, "sum": 0.25},
    }


def test_modules_without_end_are_no_labels_without_end() -> None:
    metrics = StageMetrics("waits-bounded")
    for number in range(MODULES_APART + 50):
        metrics.started("interactive", f"module-{number}", 1000)
    metrics.started("interactive", "module-7", 1000)
    found = waits("waits-bounded")
    assert len(found) == MODULES_APART + 1
    assert found["interactive", "module-7"]["count"] == 2
    assert found["interactive", OTHER_MODULES]["count"] == 50


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"gateway_stage_{name}", labels)


def test_a_scrape_tells_how_many_wait_and_are_in_work() -> None:
    metrics = StageMetrics("gauges")
    for _ in range(3):
        metrics.waiting("interactive", 1)
    metrics.waiting("bulk", 1)
    metrics.waiting("interactive", -1)
    metrics.started("interactive", "letters", 1000)
    metrics.started("interactive", "letters", None)
    metrics.left("interactive", 5)
    assert gauge("buffered", stage="gauges", lane="interactive") == 2
    assert gauge("buffered", stage="gauges", lane="bulk") == 1
    assert gauge("in_flight", stage="gauges", lane="interactive") == 1
    assert gauge("in_flight", stage="gauges", lane="bulk") == 0


def test_a_stage_tells_that_an_outage_holds_it_back_and_that_it_does_no_more() -> None:
    metrics = StageMetrics("held-back")
    seen: list[float | None] = [gauge("paused", stage="held-back")]
    for now in (False, True, True, False):
        metrics.paused(now)
        seen.append(gauge("paused", stage="held-back"))
    assert seen == [None, 0, 1, 1, 0]
