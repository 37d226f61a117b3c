"""A local stack of the benchmark's own, on free ports and in a temporary folder."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class BenchStack:
    """A running stack: where it answers, and the environment that addresses it."""

    url: str
    key: str
    bootstrap: str
    env: Mapping[str, str]

    @property
    def data_dir(self) -> Path:
        """Where the stack keeps its files."""
        return Path(self.env["GATEWAY_DATA_DIR"])

    def status(self) -> list[dict[str, object]]:
        """Return what `gateway status --json` says."""
        out = subprocess.run([ROOT / "gateway", "status", "--json"], env=self.env, stdout=subprocess.PIPE, check=False)
        return json.loads(out.stdout)

    def pid(self, name: str) -> int:
        """Return the pid of a service."""
        pid = next(s["pid"] for s in self.status() if s["name"] == name)
        assert isinstance(pid, int)
        return pid


@contextlib.contextmanager
def bench_stack(*up_args: str, env: Mapping[str, str] | None = None) -> Iterator[BenchStack]:
    """Start a stack (with more settings in `env`), and take it down and its folder away at the end."""
    more = env or {}
    _leave_in_order()
    folder = Path(tempfile.mkdtemp(prefix="gateway-bench-"))
    http, kafka, redis = free_ports(3)
    env = {
        **os.environ,
        "GATEWAY_DATA_DIR": str(folder),
        "GATEWAY_HTTP_PORT": str(http),
        "GATEWAY_KAFKA_PORT": str(kafka),
        "GATEWAY_REDIS_PORT": str(redis),
        **more,
    }
    try:
        subprocess.run([ROOT / "gateway", "up", "--detach", *up_args], env=env, check=True, stdout=subprocess.DEVNULL)
        yield BenchStack(
            url=f"http://127.0.0.1:{http}",
            key=(folder / "local.key").read_text().strip(),
            bootstrap=f"127.0.0.1:{kafka}",
            env=env,
        )
    finally:
        subprocess.run([ROOT / "gateway", "down"], env=env, check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def _leave_in_order() -> None:
    """Have signals that end this program unwind it, so that no stack stays behind; what is ignored stays ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def free_ports(count: int) -> list[int]:
    """Return ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()
