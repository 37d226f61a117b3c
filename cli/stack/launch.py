"""Starts, changes and stops the supervisor from outside, and finds what a killed one left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from cli.stack import stack_lock
from cli.stack.kafka_server import LIBS
from cli.stack.logins import without_logins
from cli.stack.paths import PROJECT_ROOT, StackPaths
from cli.stack.plan import Plan, read_plan, write_plan
from cli.stack.ports import STACK_MARK, require_free
from cli.stack.service_log import last_lines
from cli.stack.services import owns_kafka, port_uses
from cli.stack.states import ServiceStatus, read_states
from schemas.errors import InvalidInput, Permanent
from streams.settings import Settings

SUPERVISOR_LOG = "supervisor"

_LAUNCH_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 90.0
_KILL_TIMEOUT_S = 10.0
_PAUSE_S = 0.05


class StackNotStarted(Permanent):
    """The supervisor did not come up."""

    default_code = "stack_not_started"


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack, seen from outside."""

    env: Mapping[str, str]
    settings: Settings

    @property
    def paths(self) -> StackPaths:
        """Where its files are."""
        return StackPaths(self.settings.data_dir)

    def supervisor_pid(self) -> int | None:
        """Return the supervisor's pid, None when none runs."""
        return stack_lock.holder(self.paths.lock)

    def states(self) -> list[ServiceStatus]:
        """Return how the services are; empty when no supervisor runs, whatever an old file says."""
        return read_states(self.paths.state) if self.supervisor_pid() is not None else []

    @property
    def secure(self) -> bool:
        """Whether its broker asks for logins, or did when it last ran."""
        return read_plan(self.paths.plan).secure

    def start(self, scale: Mapping[str, int], parent_pid: int | None = None, *, secure: bool = False) -> bool:
        """Start the supervisor, or hand a running one the new scale; tell whether it was started now.

        Raises PortTaken before anything starts, StackNotStarted when the supervisor ends at once, InvalidInput
        when a stack that is to be secured runs open, or its broker is not its own.
        """
        if secure and not owns_kafka(self.env):
            raise InvalidInput(
                "--secure is for the stack's own broker, but GATEWAY_KAFKA_BOOTSTRAP names another",
                remedy="leave --secure out, and sign in there with GATEWAY_KAFKA_SECURITY_PROTOCOL and _USERNAME",
            )
        self.paths.make()
        with stack_lock.held(self.paths.own / "launch.lock", str(os.getpid()), _LAUNCH_TIMEOUT_S):
            running = self.supervisor_pid()
            if running is not None:
                if secure and not self.secure:
                    raise InvalidInput("the stack runs without --secure", remedy="take it down first: ./gateway down")
                self._change_scale(running, scale)
                return False
            end_leftovers(self.settings.data_dir)
            _require_kafka_jars(self.env)
            require_free(port_uses(self.env, self.settings))
            write_plan(self.paths.plan, Plan(dict(scale), secure))
            self.paths.state.unlink(missing_ok=True)
            self._launch(parent_pid)
            return True

    def stop(self) -> list[str]:
        """Stop the stack and return what was stopped; returns only when no process of it is left.

        Raises StackNotStarted when a process cannot be ended.
        """
        names = [status.name for status in self.states() if status.pid is not None]
        pid = self.supervisor_pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            _wait_for(lambda: self.supervisor_pid() is None, _STOP_TIMEOUT_S)
        leftovers = end_leftovers(self.settings.data_dir)
        self.paths.state.unlink(missing_ok=True)
        return names or leftovers

    def _change_scale(self, supervisor_pid: int, scale: Mapping[str, int]) -> None:
        if scale:
            plan = read_plan(self.paths.plan)
            write_plan(self.paths.plan, replace(plan, scale={**plan.scale, **scale}))
            os.kill(supervisor_pid, signal.SIGHUP)

    def _launch(self, parent_pid: int | None) -> None:
        data_dir = str(self.settings.data_dir)
        env = {
            **(without_logins(self.env) if owns_kafka(self.env) else self.env),
            STACK_MARK: data_dir,
            "GATEWAY_DATA_DIR": data_dir,
            "GATEWAY_MODULES_DIR": str(self.settings.modules_dir),
        }
        log = self.paths.log(SUPERVISOR_LOG)
        with log.open("ab") as output:
            began = output.tell()
            process = subprocess.Popen(
                (sys.executable, "-m", "cli.stack.daemon", *([str(parent_pid)] if parent_pid else [])),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=PROJECT_ROOT,
                start_new_session=True,
            )
        # Its first state is written when it holds the lock and knows its services.
        _wait_for(lambda: self.paths.state.exists() or process.poll() is not None, _LAUNCH_TIMEOUT_S)
        if process.poll() is not None:
            said = last_lines(log, 1, began)
            raise StackNotStarted(
                f"the supervisor ended with exit code {process.returncode}: {said[0] if said else 'it said nothing'}",
                remedy=f"see {log}",
            )


def end_leftovers(data_dir: Path) -> list[str]:
    """Kill every process that still belongs to the stack of `data_dir` and return their names.

    Raises StackNotStarted when one survives.
    """
    found = _members(data_dir)
    names = [name for process in found if (name := _kill(process))]
    _, alive = psutil.wait_procs(found, timeout=_KILL_TIMEOUT_S)
    if alive:
        raise StackNotStarted(
            "cannot end " + ", ".join(f"pid {process.pid}" for process in alive), remedy="end them by hand"
        )
    return names


def _members(data_dir: Path) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    own_folder = str(StackPaths(data_dir).own)
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid():
                continue
            # Redis overwrites its environment with its title, but it works in the stack's folder.
            redis = process.name() == "redis-server" and process.cwd() == own_folder
            if redis or process.environ().get(STACK_MARK) == str(data_dir):
                found.append(process)
        except psutil.Error:
            continue  # gone meanwhile, or another user's: not ours
    return found


def _kill(process: psutil.Process) -> str:
    try:
        name = process.name()
        process.kill()
    except psutil.NoSuchProcess:
        return ""
    return name


def _wait_for(condition: Callable[[], bool], timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(_PAUSE_S)


def _require_kafka_jars(env: Mapping[str, str]) -> None:
    if owns_kafka(env) and not any(LIBS.glob("kafka_*.jar")):
        raise StackNotStarted(f"Kafka's jars are not in {LIBS}", remedy="run ./gateway once: it fetches them by Maven")
