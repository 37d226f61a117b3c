"""Rules and boards name only metrics, labels and alerts that the code emits and the runbook explains."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from cli.stack.services import PROCESS_KINDS
from ops.grafana import make_boards
from streams import metrics

ROOT = Path(__file__).resolve().parents[2]
OPS = ROOT / "ops" / "prometheus"
ALERTS = [r for g in yaml.safe_load((OPS / "rules/alerts.yml").read_text())["groups"] for r in g["rules"]]
RECORDED = [r for g in yaml.safe_load((OPS / "rules/recording.yml").read_text())["groups"] for r in g["rules"]]
OF_PROMETHEUS = {"job", "instance", "le", "name", "alertname"}


def declared() -> dict[str, frozenset[str]]:
    """Every series name that the code can emit, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            labels = frozenset(metric._labelnames)
            name = metric._name
            if metric._type == "histogram":
                found |= {f"{name}_{part}": labels for part in ("bucket", "sum", "count")}
            else:
                found[f"{name}_total" if metric._type == "counter" else name] = labels
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in [*ALERTS, *RECORDED]:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for file in (ROOT / "ops/grafana/boards").glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]


def unknown_in(expr: str) -> list[str]:
    """What an expression names and nothing emits."""
    names = declared()
    wrong = [m for m in re.findall(r"\bgateway_\w+", expr) if m not in names]
    recorded = {rule["record"] for rule in RECORDED}
    wrong += [r for r in re.findall(r"\b\w+:\w+:\w+\b", expr) if r not in recorded]
    for name, chosen in re.findall(r"\b(gateway_\w+)\{([^}]*(?:\{module\}[^}]*)?)\}", expr):
        wrong += [
            f"{name}{{{label}}}"
            for label in re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", chosen)
            if label not in names.get(name, frozenset()) | OF_PROMETHEUS
        ]
    used = names.values()
    all_labels = frozenset[str]().union(*used) | OF_PROMETHEUS
    for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expr):
        wrong += [label for label in re.findall(r"\w+", labels) if label not in all_labels]
    return wrong


@pytest.mark.parametrize(("where", "expr"), list(expressions()))
def test_only_what_is_emitted_is_asked_for(where: str, expr: str) -> None:
    assert unknown_in(expr) == [], where


def test_a_wrong_name_is_found() -> None:
    assert unknown_in('sum by (colour) (rate(gateway_http_requests_total{shape="x"}[5m])) / gateway_nothing') == [
        "gateway_nothing",
        "gateway_http_requests_total{shape}",
        "colour",
    ]
    assert unknown_in("stage:gone:max > 1") == ["stage:gone:max"]


def test_every_metric_is_set_by_some_code() -> None:
    code = "".join(
        path.read_text()
        for folder in ("streams", "processors", "ingress", "cli")
        for path in (ROOT / folder).rglob("*.py")
        if path != ROOT / "streams/metrics.py"
    )
    names = [name for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)]
    assert [name for name in names if not re.search(rf"\b{name}\b\s*\.\s*(?:labels|set|inc|observe|dec)", code)] == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_tells_what_to_do(rule: dict) -> None:
    assert set(rule["annotations"]) == {"summary", "consequence", "runbook"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / file).read_text(), re.M)
    assert anchor in {heading.lower() for heading in headings}, f"{file} has no heading for {rule['alert']}"


@pytest.mark.full
def test_the_rules_fire_when_they_should_and_only_then() -> None:
    told = subprocess.run(["promtool", "test", "rules", OPS / "tests/alerts.yml"], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    tests = yaml.safe_load((OPS / "tests/alerts.yml").read_text())["tests"]
    # After a comma: in which case.
    tested = {test["name"].split(",")[0] for test in tests}
    names = [rule["alert"] for rule in ALERTS]
    assert tested == {f"{name} {how}" for name in names for how in ("fires", "keeps quiet")}


def test_a_role_of_which_nothing_is_left_is_missed() -> None:
    (gone,) = [rule["expr"] for rule in ALERTS if rule["alert"] == "GatewayRoleGone"]
    assert set(re.findall(r'absent\(up\{job="([a-z-]+)"\}\)', gone)) == {kind.name for kind in PROCESS_KINDS}


def test_every_severity_is_told_to_somebody_and_nothing_is_held_back_for_an_alert_that_is_not() -> None:
    told = yaml.safe_load((ROOT / "ops/alertmanager/alertmanager.yml").read_text())
    chosen = {m: route["receiver"] for route in told["route"]["routes"] for m in route["matchers"]}
    assert chosen == {'severity="page"': "page"}, "and all others are tickets"
    assert told["route"]["receiver"] == "ticket"
    assert {receiver["name"] for receiver in told["receivers"]} == {"page", "ticket"}
    secrets = yaml.safe_load((ROOT / "compose.kafka.yml").read_text())["services"]["alertmanager"]["secrets"]
    addresses = {hook["url_file"] for receiver in told["receivers"] for hook in receiver["webhook_configs"]}
    assert addresses == {f"/run/secrets/{name}" for name in secrets}
    names = {rule["alert"] for rule in ALERTS}
    for rule in told["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            assert set(matcher.split('"')[1].split("|")) <= names, matcher


def test_the_configuration_is_valid() -> None:
    told = subprocess.run(["promtool", "check", "config", OPS / "prometheus.yml"], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("name", list(make_boards.BOARDS))
def test_boards_are_as_their_source_makes_them(name: str) -> None:
    assert (ROOT / f"ops/grafana/boards/{name}.json").read_text() == make_boards.text(name)
