"""Rules and boards ask each series only for labels that it has: others make one group without a name, or nothing."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.unit.promql_labels import Labels
from tests.unit.test_metric_names import ALERTS, RECORDED, ROOT, declared, expressions

# What Prometheus gives every series of a scrape; `le` is a bucket's.
SCRAPED = frozenset({"job", "instance"})


def all_series() -> dict[str, frozenset[str]]:
    """The labels of what the code, Prometheus and its client emit, and of what the recording rules make of them."""
    series = {
        name: labels | SCRAPED | ({"le"} if name.endswith("_bucket") else frozenset())
        for name, labels in declared().items()
    }
    series["up"] = series["process_resident_memory_bytes"] = SCRAPED
    series["ALERTS"] = frozenset({"alertname", "alertstate", "severity"})
    for rule in RECORDED:
        series[rule["record"]] = Labels(rule["expr"], series).found
    return series


SERIES = all_series()


def legends() -> Iterator[tuple[str, str, str]]:
    for file in (ROOT / "ops/grafana/boards").glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"], target["legendFormat"]


@pytest.mark.parametrize(("where", "expr"), list(expressions()))
def test_a_series_is_asked_for_labels_that_it_has(where: str, expr: str) -> None:
    assert Labels(expr, SERIES).wrong == [], where


@pytest.mark.parametrize(("where", "expr", "legend"), list(legends()))
def test_a_legend_names_labels_that_the_panel_has(where: str, expr: str, legend: str) -> None:
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= Labels(expr, SERIES).found, where


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_tells_of_labels_that_it_has(rule: dict) -> None:
    told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert told <= Labels(rule["expr"], SERIES).found


@pytest.mark.parametrize(
    ("expr", "wrong"),
    [
        ("sum by (stage) (gateway_log_lag)", ["stage"]),
        ("max by (group) (sum by (topic) (gateway_log_lag))", ["group"]),
        ('stage:wait:p95_5m{service="a"} > 1', ["service"]),
        ("histogram_quantile(0.95, sum by (stage) (rate(gateway_http_request_seconds_bucket[5m])))", ["stage"]),
        ("max by (topic) (gateway_log_lag) > on (lane) group_left () gateway_log_retention_seconds", ["lane"]),
        ('label_replace(sum by (stage) (gateway_stage_paused), "group", "a$1", "lane", "(.+)")', ["lane"]),
        ('sum by (route) (rate(gateway_http_requests_total{route="/v1/{module}", shape="x"}[5m]))', ["shape"]),
        ("max by (topic, group) (gateway_log_lag)", []),
    ],
)
def test_a_label_that_a_series_has_not_is_found(expr: str, wrong: list[str]) -> None:
    assert Labels(expr, SERIES).wrong == wrong


def test_the_labels_of_a_result_are_known() -> None:
    assert Labels("sum(gateway_log_lag)", SERIES).found == frozenset()
    assert Labels("gateway_log_lag", SERIES).found == {"group", "topic", *SCRAPED}
    assert SERIES["stage:wait:p95_5m"] == {"stage", "lane"}
    assert SERIES["topic:door_waiting:max5m"] == {"service", "topic"}


def test_what_it_cannot_read_is_no_expression_of_ours() -> None:
    with pytest.raises(ValueError, match="behind its operand"):
        Labels("sum(gateway_log_lag) by (topic)", SERIES)
