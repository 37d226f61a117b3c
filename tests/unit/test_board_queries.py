"""What the boards count, worked out by Prometheus' own engine (`promtool test rules`) on series made up here."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

USAGE = Path(__file__).resolve().parents[2] / "ops/grafana/boards/usage.json"
DAY_M = 24 * 60
STEP_M = 5


def daily() -> dict[str, str]:
    """The query of each panel that counts a day."""
    panels = json.loads(USAGE.read_text())["panels"]
    return {p["title"]: p["targets"][0]["expr"] for p in panels if "[1d]" in p["targets"][0]["expr"]}


def at_the_end(expr: str, values: str, folder: Path) -> float:
    """Return what a query says of one series after three days."""
    (selector,) = set(re.findall(r"gateway_\w+_total(?:\{[^}]*\})?", expr))
    name = selector.partition("{")[0]
    labels = '{service="s",module="m",model="x",charged="true",limit="pages_per_month"}'
    # An expectation that cannot be: what was found is read out of the complaint.
    asked = {"expr": f"round(sum({expr}), 0.001)", "eval_time": f"{3 * DAY_M}m", "exp_samples": [{"value": -1}]}
    test: dict[str, Any] = {"interval": f"{STEP_M}m", "input_series": [{"series": name + labels, "values": values}]}
    (folder / "test.yml").write_text(yaml.safe_dump({"tests": [{**test, "promql_expr_test": [asked]}]}))
    told = subprocess.run(["promtool", "test", "rules", folder / "test.yml"], capture_output=True, text=True)
    (found,) = re.findall(r"got:.*?\{\} ([-+.0-9E]+)", told.stdout + told.stderr, re.S)
    return float(found)


def days(count: float) -> int:
    """How many scrapes these days have."""
    return int(count * DAY_M / STEP_M)


@pytest.mark.parametrize("title", sorted(daily()))
def test_a_first_event_of_today_is_counted(title: str, tmp_path: Path) -> None:
    assert at_the_end(daily()[title], f"_x{days(2.5)} 1x{days(1)}", tmp_path) == 1


def test_every_panel_that_counts_a_day_is_looked_at() -> None:
    assert len(daily()) >= 8


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(f"40x{days(4)}", 0, id="nothing-happened-today"),
        pytest.param(f"40x{days(2.5)} 47x{days(1)}", 7, id="what-was-there-before-counts-by-its-growth"),
        pytest.param(f"_x{days(2.5)} 3 10x{days(1)}", 10, id="begun-today-with-more-than-one"),
        pytest.param(f"_x{days(2.25)} 2x{days(0.25)} 9x{days(0.125)} 1x{days(1)}", 8, id="begun-today-and-set-back"),
        pytest.param(f"40x{days(2) - 8} _x14 40x{days(2)}", 0, id="nothing-was-told-for-an-hour-yesterday"),
    ],
)
def test_a_day_is_counted_once(values: str, expected: float, tmp_path: Path) -> None:
    found = at_the_end(daily()["Requests today"], values, tmp_path)
    assert found == pytest.approx(expected, abs=0.3), "increase reaches a little beyond what it saw"
