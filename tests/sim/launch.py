"""Starts simulators as processes of their own, and talks to their control endpoints."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
import orjson

from tests.waiting import eventually

_ROOT = Path(__file__).resolve().parents[2]
_STOP_S = 5.0

Kind = Literal["ollama", "openai"]
_MODULES: dict[Kind, str] = {"ollama": "tests.sim.ollama", "openai": "tests.sim.openai_server"}


class Simulator:
    """A simulator that runs; `url` is its base, `/v1` not included."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    async def set(self, **changes: Any) -> None:
        """Change settings; raises ValueError with the simulator's own words."""
        await self._post("/_sim/config", changes)

    async def reset(self) -> None:
        """Start anew: an empty account, the settings of its start, no model loaded."""
        await self._post("/_sim/reset", {})

    async def counts(self, each: bool = False) -> dict[str, Any]:
        """Return its account of what it sent."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/_sim/counts{'?each=1' * each}") as answer:
            return orjson.loads(await answer.read())

    async def idle(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait until no call is open and return the account."""

        async def settled() -> dict[str, Any]:
            counts = await self.counts()
            return counts if not counts["open"] else {}

        return await eventually(settled, timeout_s)

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.process.wait()

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        async with aiohttp.ClientSession() as http, http.post(self.url + path, data=orjson.dumps(body)) as answer:
            if answer.status != 200:
                raise ValueError(await answer.text())


@contextmanager
def simulator(kind: Kind = "ollama", port: int = 0, **settings: Any) -> Iterator[Simulator]:
    """Run a simulator for the duration of the context; settings as in `SimConfig`."""
    running = start(kind, port, **settings)
    try:
        yield running
    finally:
        running.stop()


def start(kind: Kind = "ollama", port: int = 0, **settings: Any) -> Simulator:
    """Start a simulator and wait until it listens."""
    flags = ["--tethered", f"--port={port}", *(f"--{k.replace('_', '-')}={_flag(v)}" for k, v in settings.items())]
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULES[kind], *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait()
        raise RuntimeError(f"the simulator {kind} did not start: exit status {process.returncode}")
    return Simulator(process, orjson.loads(line)["port"])


def _flag(value: Any) -> str:
    return ",".join(value) if isinstance(value, (list, tuple)) else str(value)
