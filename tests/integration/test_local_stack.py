"""The local stack as a user meets it: `demo`, `up`, `status`, a crash, `down`, on ports and in a folder of its own."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest
import redis

from cli.stack.ports import STACK_MARK, pick_free
from tests.services import ROOT
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

GATEWAY = Path(sys.executable).with_name("gateway")
LETTERS = ROOT / "tests" / "data" / "gongmun"
FOUNDATIONS = ("kafka", "redis")


class Stack:
    """Runs `gateway` commands for one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.demo: subprocess.CompletedProcess[str] | None = None  # what the demo said that started it
        ports = [pick_free() for _ in range(3)]
        names = ("GATEWAY_KAFKA_PORT", "GATEWAY_REDIS_PORT", "GATEWAY_HTTP_PORT")
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("GATEWAY_")}
        given = {name: str(port) for name, port in zip(names, ports, strict=True)}
        self.env = {**inherited, **given, "GATEWAY_DATA_DIR": str(folder)}
        self.url = f"http://127.0.0.1:{ports[2]}"

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [GATEWAY, *arguments], env={**self.env, **variables}, capture_output=True, text=True, check=False
        )

    def answers(self) -> bool:
        return httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200

    def services(self) -> dict[str, dict[str, Any]]:
        return {s["name"]: s for s in orjson.loads(self.run("status", "--json").stdout)}

    def until(self, *names: str, state: str, timeout_s: float = 90.0) -> dict[str, dict[str, Any]]:
        def reached() -> dict[str, dict[str, Any]]:
            services = self.services()
            return services if all(services.get(n, {}).get("state") == state for n in names) else {}

        return until(reached, timeout_s, told=self.services)

    def processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(STACK_MARK) == str(self.folder) or process.cwd().startswith(str(self.folder)):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@contextmanager
def own_stack() -> Iterator[Stack]:
    """A stack that nobody has started yet."""
    folder = Path(tempfile.mkdtemp(prefix="stack-"))
    stack = Stack(folder)
    try:
        yield stack
    finally:
        stack.run("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with own_stack() as stack:
        stack.demo = stack.run("demo")
        yield stack


def test_the_demo_leaves_the_stack_up_and_tells_where_it_is(stack: Stack) -> None:
    demo = stack.demo
    assert demo is not None
    assert demo.returncode == 0, demo.stderr
    assert orjson.loads(demo.stdout)["document_number"] == "농촌활력과-512"
    assert set(re.findall(r"^  (\S+) is (?:ready|unavailable)", demo.stderr, re.M)) == set(stack.services())
    told = demo.stderr.partition("The stack stays up")[2]
    assert f"{stack.url}/docs" in told
    assert str(stack.folder / "local.key") in told
    evidence = next(word for word in told.split() if word.endswith("/evidence.html"))
    key = (stack.folder / "local.key").read_text().strip()
    assert httpx.get(evidence, auth=("", key), trust_env=False).status_code == 200


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
    assert topics["results"]["configs"]["compression.type"] == "producer"


def test_a_letter_of_the_user_s_is_read_by_a_stack_that_runs_and_goes_on(stack: Stack) -> None:
    read = stack.run("demo", "--file", str(LETTERS / "pub2.pdf"), "--once", "--json")
    assert read.returncode == 0, read.stderr
    assert orjson.loads(read.stdout)["title"] == orjson.loads((LETTERS / "pub2.truth.json").read_bytes())["title"]
    assert "The stack is up." in read.stderr
    assert stack.answers(), "--once takes down only what it started"


def test_the_lag_of_every_group_is_told(stack: Stack) -> None:
    done = stack.run("lag", "--json")
    assert done.returncode == 0, done.stderr
    rows = {(row["group"], row["topic"]): row for row in orjson.loads(done.stdout)}
    letter = rows["processor.ocr", "ocr.requests"]
    assert set(letter) == {"group", "topic", "committed", "end", "lag"}
    assert 1 <= letter["committed"] <= letter["end"]
    assert ("job-state", "results") in rows
    assert all(row["lag"] == row["end"] - row["committed"] for row in rows.values())


def test_the_doctor_finds_a_whole_installation_and_a_running_stack_well(stack: Stack) -> None:
    stack.until("ingress", "admission", "job-state", "metering", "ocr", "llm", state="ready")
    done = stack.run("doctor", "--json")
    checks = {check["name"]: check for check in orjson.loads(done.stdout)}
    assert done.returncode == 0, checks
    assert all(set(check) == {"name", "ok", "detail", "remedy", "required"} for check in checks.values())
    assert {"python", "java", "kafka jars", "redis-server", "tesseract", "data directory", "ports"} <= set(checks)
    for name in ("local stack", "kafka", "redis", "blob store"):
        assert (checks[name]["ok"], checks[name]["required"], checks[name]["remedy"]) == (True, True, ""), checks[name]
    assert checks["local stack"]["detail"] == "9 services run"
    assert "GATEWAY_STT_MODEL" in checks["stages"]["remedy"], "a warning only"


def test_the_doctor_names_what_set_up_installs(stack: Stack) -> None:
    done = stack.run("doctor", "--json", PATH="/nowhere")
    assert done.returncode == 1
    missing = [c for c in orjson.loads(done.stdout) if "apt-get install" in c["remedy"]]
    assert [c["name"] for c in missing] == ["java", "redis-server", "tesseract"]
    looked_for = re.search(r"^missing_packages\(\) \{\n(.*?)^\}", (ROOT / "gateway").read_text(), re.M | re.S)
    assert looked_for is not None
    installed = {name for found in re.findall(r"\|\| echo ([a-z0-9 -]+)", looked_for[1]) for name in found.split()}
    for check in missing:
        packages = check["remedy"].partition("apt-get install ")[2].partition(",")[0].split()
        assert packages, check
        assert set(packages) <= installed, check


def test_redis_never_evicts(stack: Stack) -> None:
    stack.until("redis", state="ready")
    with redis.Redis(port=int(stack.env["GATEWAY_REDIS_PORT"]), decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.full
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


@pytest.mark.full
def test_a_second_stack_runs_beside_the_first_and_its_down_leaves_no_process_of_it_behind(stack: Stack) -> None:
    serving = ("kafka", "redis", "ingress", "admission", "job-state", "metering", "ocr", "llm")
    before = stack.until(*serving, state="ready")
    with own_stack() as second:
        assert second.run("up", "--detach").returncode == 0
        beside = second.until(*serving, state="ready")
        assert {s["pid"] for s in beside.values()}.isdisjoint(s["pid"] for s in before.values())
        assert second.answers()
        done = second.run("down")
        assert done.returncode == 0
        assert "kafka" in done.stdout
        assert second.processes() == []
        assert second.run("status").returncode == 1
    assert stack.answers()
    assert stack.until(*serving, state="ready") == before


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


@pytest.mark.parametrize("arguments", [("demo", "--once"), ("demo",)], ids=" ".join)
def test_a_demo_that_is_interrupted_while_the_stack_starts_leaves_no_process(
    stack: Stack, arguments: tuple[str, ...]
) -> None:
    assert stack.run("down").returncode == 0
    process = subprocess.Popen(
        [GATEWAY, *arguments],
        env=stack.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell in the background has its programs ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert next(process.stderr).startswith("Starting Kafka")
    assert stack.processes()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert stack.processes() == []
