"""A real Prometheus, configured by the running stack, has data for every panel and no rule that breaks.

No panel is empty on a healthy stack that was used: what counts rare events says `or vector(0)`.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bench.stack import BenchStack, free_ports
from streams.metrics_server import Health, start_metrics_server
from streams.watch.certificates import Certificates
from tests.certificates import listening, make_certificate
from tests.integration.chat_harness import NATIVE, chat_ingress, simulators
from tests.services import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
BOARDS = sorted((ROOT / "ops/grafana/boards").glob("*.json"))


class Prometheus:
    """One that runs."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def get(self, path: str, **params: str) -> Any:
        answer = self._http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def query(self, expr: str) -> list[Any]:
        return self.get("/api/v1/query", query=expr)["result"]

    def ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def prometheus(stack: BenchStack, rest: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus on a copy of what the stack's supervisor wrote, asking every second instead of every 15."""
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(stack.data_dir / "prometheus", folder, dirs_exist_ok=True)
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        # The supervisor's own files, so that a change of scale is followed.
        for discovery in job["file_sd_configs"]:
            discovery["files"] = [str(stack.data_dir / "prometheus" / file) for file in discovery["files"]]
            discovery["refresh_interval"] = "1s"
    here = start_metrics_server(0, Health())
    # This process stands for an ingress with model servers: the stack has none.
    config["scrape_configs"].append(
        {"job_name": "ingress-with-models", "static_configs": [{"targets": [f"127.0.0.1:{here.port}"]}]}
    )
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    arguments = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ("prometheus", *arguments, f"--web.listen-address=127.0.0.1:{port}"), stdout=log, stderr=log
        )
    try:
        running = Prometheus(f"http://127.0.0.1:{port}")
        until(running.ready)
        yield running
    finally:
        process.terminate()
        process.wait(20)
        here.close()


@pytest.fixture(scope="module")
async def used(stack: BenchStack, rest: httpx.Client, prometheus: Prometheus, tmp_path_factory: Any) -> Prometheus:
    """The stack after what a day brings: a letter, a job, a call to a model. Nothing here waits for their end."""
    with (ROOT / "cli/data/demo-letter.pdf").open("rb") as letter:
        submitted = [
            await asyncio.to_thread(rest.post, "/v1/gongmun", files={"file": ("a.pdf", letter, "application/pdf")}),
            await asyncio.to_thread(rest.post, "/v1/noop", json={"text": "x"}),
        ]
    assert [answer.status_code for answer in submitted] == [202, 202], [answer.text for answer in submitted]
    redis = next(s for s in stack.status() if s["name"] == "redis")
    address = f"redis://127.0.0.1:{redis['port']}/1"  # its views are not the stack's
    port = free_port()  # in containers it is the proxy's, and Kafka's; the stack has no TLS
    async with listening(make_certificate(tmp_path_factory.mktemp("listener"), 400), port):
        assert await Certificates([f"127.0.0.1:{port}"]).look()
    with simulators() as sims:
        folder = tmp_path_factory.mktemp("chat")
        async with (
            chat_ingress(stack.bootstrap, address, folder, sims) as ingress,
            ingress.client(await ingress.key("boards", ("chat",))) as http,
        ):
            body = {"model": NATIVE, "messages": [{"role": "user", "content": "hello"}]}
            answer = await http.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
            # While this ingress runs: a rate wants two scrapes, and its gauges go with it.
            await asyncio.to_thread(until, lambda: prometheus.query(RATE_OF_CALLS))
    return prometheus


RATE_OF_CALLS = "rate(gateway_chat_calls_total[1m])"


def panels() -> dict[str, str]:
    """Every panel's query, by board, title and letter."""
    return {
        f"{file.stem}: {panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for file in BOARDS
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    }


@pytest.mark.stack
def test_every_role_is_followed_and_answers(prometheus: Prometheus) -> None:
    roles = {"ingress", "admission", "job-state", "metering", "ocr", "stt", "llm"}
    until(lambda: roles <= {sample["metric"]["job"] for sample in prometheus.query("up == 1")})


@pytest.mark.stack
def test_every_panel_has_data(used: Prometheus) -> None:
    empty = panels()
    assert len(empty) >= 40

    def all_filled() -> bool:
        for name in [name for name, expr in empty.items() if used.query(expr)]:
            del empty[name]
        return not empty

    try:
        until(all_filled)
    except AssertionError:
        pytest.fail(f"panels without data: {empty}")


@pytest.mark.stack
def test_every_rule_is_evaluated_without_an_error(used: Prometheus) -> None:
    rules = [rule for group in used.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert len(rules) >= 30
    assert [(r["name"], r["lastError"]) for r in rules if r.get("lastError") or r["health"] == "err"] == []


@pytest.mark.stack
def test_a_healthy_stack_wakes_nobody(used: Prometheus) -> None:
    firing = [a["labels"] for a in used.get("/api/v1/alerts")["alerts"] if a["state"] == "firing"]
    assert [labels for labels in firing if labels["severity"] == "page"] == []
