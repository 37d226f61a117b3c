"""The supervisor with real processes: small stand-ins that answer `/readyz` as ours do."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from cli.stack import tether
from cli.stack.launch import end_leftovers
from cli.stack.ports import STACK_MARK, pick_free
from cli.stack.probes import readyz_probe
from cli.stack.services import Service
from cli.stack.states import ServiceStatus
from cli.stack.supervisor import Supervisor
from schemas.errors import Outage
from tests.waiting import WaitUntil

SERVES = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
READY = '{"state":"ready","reason":""}'


def stand_in(
    name: str, tmp_path: Path, *, program: str = SERVES, answer: str = READY, foundation: bool = False
) -> Service:
    port = pick_free()
    return Service(
        name=name,
        kind=name.partition("-")[0],
        command=(sys.executable, "-c", program, str(port), answer),
        port=port,
        probe=readyz_probe(port),
        env={**os.environ, STACK_MARK: str(tmp_path)},
        foundation=foundation,
        cwd=tmp_path,
    )


@asynccontextmanager
async def supervised(
    services: list[Service], tmp_path: Path, set_up: Callable[[], Awaitable[None]] | None = None
) -> AsyncGenerator[Supervisor]:
    async def nothing() -> None:
        return

    supervisor = Supervisor(
        services,
        set_up or nothing,
        log_of=lambda name: tmp_path / f"{name}.log",
        state_file=tmp_path / "state.json",
        stop_grace_s=2.0,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    try:
        yield supervisor
    finally:
        stop.set()
        await running


def status_of(supervisor: Supervisor, name: str) -> ServiceStatus:
    return next(s for s in supervisor.states if s.name == name)


def all_ready(supervisor: Supervisor) -> Callable[[], bool]:
    return lambda: all(s.state == "ready" for s in supervisor.states)


async def test_everything_becomes_ready_and_nothing_is_left_after_stopping(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    services = [stand_in("kafka", tmp_path, foundation=True), stand_in("ocr", tmp_path)]
    async with supervised(services, tmp_path) as supervisor:
        await wait_until(all_ready(supervisor))
        pids = [s.pid for s in supervisor.states]
        # The pid is the service's own, not a wrapper's.
        assert all(pid and psutil.Process(pid).cmdline()[1] == "-c" for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)


async def test_the_rest_waits_until_the_set_up_succeeds(tmp_path: Path, wait_until: WaitUntil) -> None:
    kafka_answers = asyncio.Event()

    async def set_up() -> None:
        if not kafka_answers.is_set():
            raise Outage("Kafka does not answer")

    services = [stand_in("kafka", tmp_path, foundation=True), stand_in("ocr", tmp_path)]
    async with supervised(services, tmp_path, set_up) as supervisor:
        await wait_until(lambda: "Kafka does not answer" in status_of(supervisor, "ocr").reason)
        assert status_of(supervisor, "ocr").pid is None
        kafka_answers.set()
        await wait_until(all_ready(supervisor))


async def test_a_killed_service_is_started_again_and_counted(tmp_path: Path, wait_until: WaitUntil) -> None:
    async with supervised([stand_in("ocr", tmp_path)], tmp_path) as supervisor:
        await wait_until(all_ready(supervisor))
        first = status_of(supervisor, "ocr").pid
        assert first
        os.kill(first, signal.SIGKILL)
        await wait_until(lambda: status_of(supervisor, "ocr").restarts == 1)
        await wait_until(all_ready(supervisor))
        assert status_of(supervisor, "ocr").pid not in (None, first)


async def test_what_dies_at_once_every_time_is_failed_with_its_last_line(tmp_path: Path, wait_until: WaitUntil) -> None:
    broken = stand_in("ocr", tmp_path, program="raise SystemExit('no engine is installed')")
    async with supervised([broken], tmp_path) as supervisor:
        await wait_until(lambda: status_of(supervisor, "ocr").state == "failed")
        assert status_of(supervisor, "ocr").reason == "exit code 1: no engine is installed"
        assert status_of(supervisor, "ocr").pid is None


async def test_a_command_that_does_not_exist_says_so(tmp_path: Path, wait_until: WaitUntil) -> None:
    port = pick_free()
    missing = Service("redis", "redis", ("no-such-server",), port, readyz_probe(port), dict(os.environ), cwd=tmp_path)
    async with supervised([missing], tmp_path) as supervisor:
        await wait_until(lambda: "no-such-server cannot be started" in status_of(supervisor, "redis").reason)


async def test_a_service_that_cannot_serve_is_unavailable_with_its_reason(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    without_model = stand_in("stt", tmp_path, answer='{"state":"unavailable","reason":"no model is set"}')
    async with supervised([without_model], tmp_path) as supervisor:
        await wait_until(lambda: status_of(supervisor, "stt").state == "unavailable")
        assert status_of(supervisor, "stt").reason == "no model is set"


async def test_a_service_that_will_not_stop_is_killed(tmp_path: Path, wait_until: WaitUntil) -> None:
    deaf = stand_in("ocr", tmp_path, program="import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVES)
    async with supervised([deaf], tmp_path) as supervisor:
        await wait_until(all_ready(supervisor))
        pid = status_of(supervisor, "ocr").pid
        assert pid
    assert not psutil.pid_exists(pid)


async def test_a_services_children_end_with_it(tmp_path: Path, wait_until: WaitUntil) -> None:
    parent = stand_in(
        "ocr", tmp_path, program="import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)" + SERVES
    )
    async with supervised([parent], tmp_path) as supervisor:
        await wait_until(all_ready(supervisor))
        child = int((tmp_path / "ocr.log").read_text())
        assert psutil.pid_exists(child)
        os.kill(status_of(supervisor, "ocr").pid or 0, signal.SIGKILL)
        await wait_until(lambda: not is_running(child))


async def test_scaling_starts_what_is_new_and_stops_what_is_gone(tmp_path: Path, wait_until: WaitUntil) -> None:
    first, second = stand_in("ocr", tmp_path), stand_in("ocr-2", tmp_path)
    async with supervised([first], tmp_path) as supervisor:
        await wait_until(all_ready(supervisor))
        pid = status_of(supervisor, "ocr").pid
        await supervisor.apply([first, second])
        assert [s.name for s in supervisor.states] == ["ocr", "ocr-2"]
        await wait_until(all_ready(supervisor))
        assert status_of(supervisor, "ocr").pid == pid
        gone = status_of(supervisor, "ocr-2").pid
        await supervisor.apply([first])
        assert [s.name for s in supervisor.states] == ["ocr"]
        assert gone
        assert not psutil.pid_exists(gone)


async def test_tethered_processes_die_with_a_parent_that_was_killed(tmp_path: Path, wait_until: WaitUntil) -> None:
    parent_program = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", {tether.__file__!r}, str(os.getpid()), "sleep", "600"])
print(child.pid, flush=True)
child.wait()
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", parent_program, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout
    child = int(await parent.stdout.readline())
    await wait_until(lambda: psutil.Process(child).name() == "sleep")
    parent.kill()
    await parent.wait()
    await wait_until(lambda: not is_running(child))


async def test_leftovers_are_found_by_their_mark_and_ended(tmp_path: Path) -> None:
    left = await asyncio.create_subprocess_exec("sleep", "600", env={**os.environ, STACK_MARK: str(tmp_path)})
    other = await asyncio.create_subprocess_exec("sleep", "600", env={**os.environ, STACK_MARK: f"{tmp_path}-2"})
    try:
        assert await asyncio.to_thread(end_leftovers, tmp_path) == ["sleep"]
        await left.wait()  # who collects its exit code first is left open
        assert not psutil.pid_exists(left.pid)
        assert other.returncode is None
    finally:
        other.kill()
        await other.wait()


def is_running(pid: int) -> bool:
    """Tell whether a process still runs; one that only waits to be collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("answer", ["", "no json", "[]", '{"state":"odd"}'])
async def test_a_nonsense_answer_is_no_answer(tmp_path: Path, wait_until: WaitUntil, answer: str) -> None:
    odd = stand_in("ocr", tmp_path, answer=answer)
    async with supervised([odd], tmp_path) as supervisor:
        await wait_until(lambda: status_of(supervisor, "ocr").pid is not None)
        with pytest.raises(ValueError, match=r"."):
            await ask_when_listening(odd)
        assert status_of(supervisor, "ocr").state == "starting"


async def ask_when_listening(service: Service) -> None:
    while True:
        try:
            await service.probe()
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
