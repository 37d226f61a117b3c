"""The local stack as a user meets it: `up`, `status`, a crash, `down`, on ports and in a folder of its own."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from cli.stack.ports import STACK_MARK, pick_free

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

GATEWAY = Path(sys.executable).with_name("gateway")
FOUNDATIONS = ("kafka", "redis")


class Stack:
    """Runs `gateway` commands for one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = [pick_free() for _ in range(3)]
        names = ("GATEWAY_KAFKA_PORT", "GATEWAY_REDIS_PORT", "GATEWAY_HTTP_PORT")
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("GATEWAY_")}
        given = {name: str(port) for name, port in zip(names, ports, strict=True)}
        self.env = {**inherited, **given, "GATEWAY_DATA_DIR": str(folder)}

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [GATEWAY, *arguments], env={**self.env, **variables}, capture_output=True, text=True, check=False
        )

    def services(self) -> dict[str, dict[str, Any]]:
        return {s["name"]: s for s in orjson.loads(self.run("status", "--json").stdout)}

    def until(self, *names: str, state: str, timeout_s: float = 90.0) -> dict[str, dict[str, Any]]:
        deadline = time.monotonic() + timeout_s
        while True:
            services = self.services()
            if all(services.get(n, {}).get("state") == state for n in names):
                return services
            assert time.monotonic() < deadline, services
            time.sleep(0.1)

    def processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(STACK_MARK) == str(self.folder) or process.cwd().startswith(str(self.folder)):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="stack-"))
    stack = Stack(folder)
    try:
        stack.run("up", "--detach")
        yield stack
    finally:
        stack.run("down")
        shutil.rmtree(folder, ignore_errors=True)


def test_the_whole_stack_comes_up_and_tells_how_it_is(stack: Stack) -> None:
    stack.until("kafka", "redis", "ingress", "admission", "job-state", "metering", "ocr", "llm", state="ready")
    services = stack.until("stt", state="unavailable")
    assert list(services) == ["kafka", "redis", "ingress", "admission", "job-state", "metering", "ocr", "stt", "llm"]
    assert "GATEWAY_STT_MODEL" in services["stt"]["reason"]
    for service in services.values():
        assert set(service) == {"name", "kind", "pid", "state", "port", "restarts", "reason"}
        assert psutil.pid_exists(service["pid"])
    assert psutil.Process(services["kafka"]["pid"]).name() == "java"
    assert psutil.Process(services["redis"]["pid"]).name() == "redis-server"
    assert stack.run("status").returncode == 0


def test_what_nobody_waits_for_yields_to_what_callers_wait_for(stack: Stack) -> None:
    services = stack.until("ingress", "admission", "job-state", "metering", "llm", state="ready")
    nice = {name: psutil.Process(service["pid"]).nice() for name, service in services.items()}
    assert nice["metering"] == nice["admission"] > nice["ingress"]
    assert nice["ingress"] == nice["job-state"] == nice["llm"] == nice["kafka"]


def test_the_local_key_is_made_and_readable_by_its_owner_only(stack: Stack) -> None:
    stack.until("ingress", state="ready")
    key = stack.folder / "local.key"
    assert key.read_text().startswith("gw_")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_topics_are_there_as_declared(stack: Stack) -> None:
    stack.until(*FOUNDATIONS, state="ready")
    done = stack.run("topics", "--json")
    topics = {t["name"]: t for t in orjson.loads(done.stdout)}
    assert topics["job.events"]["partitions"] == 8
    assert topics["api.keys"]["configs"]["cleanup.policy"] == "compact"
    assert topics["results"]["configs"]["compression.type"] == "lz4"


def test_a_killed_broker_comes_back(stack: Stack) -> None:
    before = stack.until(*FOUNDATIONS, state="ready")["kafka"]
    os.kill(before["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while (now := stack.services()["kafka"])["restarts"] == before["restarts"] or now["state"] != "ready":
        assert time.monotonic() < deadline, now
    assert now["pid"] != before["pid"]


def test_a_second_up_only_says_that_it_is_up(stack: Stack) -> None:
    stack.until("ingress", "job-state", "metering", "ocr", "llm", state="ready")
    done = stack.run("up", "--detach")
    assert done.returncode == 0, done.stdout
    assert "up already" in done.stdout


def test_another_stack_on_the_same_ports_is_refused_with_a_remedy(stack: Stack, tmp_path: Path) -> None:
    stack.until("ingress", *FOUNDATIONS, state="ready")
    done = stack.run("up", "--detach", GATEWAY_DATA_DIR=str(tmp_path / "other"))
    assert done.returncode == 1
    assert f"port {stack.env['GATEWAY_KAFKA_PORT']} (Kafka) is taken" in done.stderr
    assert "GATEWAY_KAFKA_PORT" in done.stderr.partition("remedy:")[2]


def test_a_log_can_be_read_and_an_unknown_one_names_those_there_are(stack: Stack) -> None:
    stack.until("redis", state="ready")
    assert "Ready to accept connections" in stack.run("logs", "redis").stdout
    unknown = stack.run("logs", "nope")
    assert unknown.returncode == 1
    assert "redis" in unknown.stderr


def test_services_die_with_a_killed_supervisor_and_down_still_works(stack: Stack) -> None:
    stack.until(*FOUNDATIONS, state="ready")
    os.kill(int((stack.folder / "stack" / "supervisor.lock").read_text()), signal.SIGKILL)
    assert orjson.loads(stack.run("status", "--json").stdout) == []
    assert stack.run("down").returncode == 0
    assert stack.processes() == []


def test_down_leaves_no_process_behind(stack: Stack) -> None:
    assert stack.run("down").returncode == 0
    stack.run("up", "--detach")
    assert stack.processes()
    done = stack.run("down")
    assert done.returncode == 0
    assert "kafka" in done.stdout
    assert stack.processes() == []
    assert stack.run("status").returncode == 1
