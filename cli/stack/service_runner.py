"""Keeps one service alive: start, watch, start again with backoff, stop."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cli.stack import tether
from cli.stack.probes import NO_ANSWER
from cli.stack.restart_policy import Deaths
from cli.stack.service_log import death_reason, rotate
from cli.stack.services import Service
from cli.stack.states import SETTLED, ServiceState, ServiceStatus
from schemas.errors import GatewayError

STOP_GRACE_S = 30.0
"""How long a process may drain after SIGTERM before it is killed."""

_POLL_STARTING_S = 0.2
_POLL_SETTLED_S = 1.0
_SILENT_POLLS = 3
"""So many unanswered polls in a row make a service that was ready `unavailable`."""


_LOG = logging.getLogger(__name__)


class ServiceRunner:
    """Runs one service until told to stop. `on_change` is called after each change of `status`."""

    def __init__(self, service: Service, log: Path, on_change: Callable[[], None]) -> None:
        self.service = service
        self._log = log
        self._on_change = on_change
        self._status = ServiceStatus(service.name, service.kind, None, ServiceState.STARTING, service.port)
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def status(self) -> ServiceStatus:
        """How the service is."""
        return self._status

    def waits_for(self, reason: str) -> None:
        """Tell why the service has not been started yet."""
        self._change(reason=reason)

    def start(self) -> None:
        """Begin to keep the service alive; a second call changes nothing."""
        if self._task is None and not self._stopping.is_set():
            self._change(reason="")
            self._task = asyncio.create_task(self._run(), name=f"service {self.service.name}")

    async def until_ready(self) -> None:
        """Wait until the service is ready for the first time."""
        await self._ready.wait()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stop the service: SIGTERM, time to drain, then SIGKILL for it and whatever it left."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=grace_s)
        if not done and self._process is not None:
            _kill_group(self._process.pid)
        await self._task

    async def _run(self) -> None:
        deaths = Deaths()
        while not self._stopping.is_set():
            began = time.monotonic()
            reason = await self._live_once()
            if self._stopping.is_set():
                break
            now = time.monotonic()
            deaths = deaths.died(now, now - began)
            state = ServiceState.FAILED if deaths.failed else ServiceState.STARTING
            self._change(pid=None, state=state, reason=reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deaths.delay_s):
                    await self._stopping.wait()
            if not self._stopping.is_set():
                self._change(restarts=self._status.restarts + 1)
        self._change(pid=None, state=ServiceState.STARTING, reason="stopped")

    async def _live_once(self) -> str:
        """Start the process, wait for its end and return why it ended."""
        try:
            await self.service.prepare()
            if self._stopping.is_set():
                return ""
            rotate(self._log)
            process, log_start = await self._spawn()
        except (GatewayError, OSError) as e:
            return str(e)
        except Exception as e:  # a bug of ours: shown, logged, tried again like any other death
            _LOG.exception("%s could not be started", self.service.name)
            return f"{type(e).__name__}: {e}"
        self._process = process
        if self._stopping.is_set():  # stop() came while the process was being made
            process.terminate()
        self._change(pid=process.pid)
        watch = asyncio.create_task(self._watch())
        try:
            code = await process.wait()
        finally:
            watch.cancel()
            # Children of a process that crashed must not go on working beside its successor.
            _kill_group(process.pid)
        await asyncio.wait({watch})
        return death_reason(self._log, log_start, code)

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, int]:
        tethered = (sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *self.service.command)
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *tethered,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.service.env),
                cwd=self.service.cwd,
                start_new_session=True,
            )
            if self.service.nice:
                with contextlib.suppress(ProcessLookupError):  # it died at once, and is told of like any other death
                    own = os.getpriority(os.PRIO_PROCESS, 0)
                    os.setpriority(os.PRIO_PROCESS, process.pid, own + self.service.nice)
            return process, log.tell()

    async def _watch(self) -> None:
        """Poll the service and keep its state; runs as long as its process."""
        silent = 0
        while True:
            try:
                state, reason = await self.service.probe()
                silent = 0
                self._change(state=state, reason=reason)
                if state == ServiceState.READY:
                    self._ready.set()
            except NO_ANSWER:
                silent += 1
                if self._status.state in SETTLED and silent >= _SILENT_POLLS:
                    self._change(
                        state=ServiceState.UNAVAILABLE,
                        reason=f"the process runs but does not answer on port {self.service.port}",
                    )
            settled = self._status.state in SETTLED
            await asyncio.sleep(_POLL_SETTLED_S if settled else _POLL_STARTING_S)

    def _change(self, **changes: object) -> None:
        changed = replace(self._status, **changes)  # pyright: ignore[reportArgumentType] - fields by name
        if changed != self._status:
            self._status = changed
            self._on_change()


def _kill_group(leader_pid: int) -> None:
    # Each service leads a session, and so a process group, of its own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, signal.SIGKILL)
