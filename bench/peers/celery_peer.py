"""Runs the peer: its environment, its Redis, its door and its workers."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.environment import environment_of, kill_group, until_open
from bench.stack import ROOT, free_ports

HERE = Path(__file__).with_name("celery")
VENV = ROOT / ".tools" / "peers" / "celery"
_START_S = 60.0


@dataclass
class CeleryPeer:
    """A running peer. Workers come and go; `redis_url` is its broker and its result backend."""

    url: str
    redis_url: str
    folder: Path
    env: dict[str, str]
    fixed: dict[str, subprocess.Popen[bytes]]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_workers(self, count: int, concurrency: int) -> None:
        """Start worker processes and wait until each answers."""
        for n in range(len(self.workers) + 1, len(self.workers) + count + 1):
            command = [VENV / "bin" / "celery", "-A", "tasks", "worker", "-n", f"w{n}@peer", "-c", str(concurrency)]
            command += ["-l", "warning", "--without-gossip", "--without-mingle"]
            self.workers.append(_spawn(self, f"worker-{n}", command))
        until = time.monotonic() + _START_S
        while self._answering() < len(self.workers) and time.monotonic() < until:
            time.sleep(0.5)

    def stop_workers(self) -> None:
        """End all workers: a warm shutdown, then SIGKILL."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(15)
            except subprocess.TimeoutExpired:
                kill_group(worker)
        self.workers.clear()

    def pids(self) -> dict[str, int]:
        """Return the processes by name."""
        named = {f"worker-{n}": w.pid for n, w in enumerate(self.workers, 1)}
        return named | {name: process.pid for name, process in self.fixed.items()}

    def _answering(self) -> int:
        command = [VENV / "bin" / "celery", "-A", "tasks", "inspect", "ping", "-j", "-t", "2"]
        out = subprocess.run(command, cwd=HERE, env=self.env, capture_output=True, text=True, check=False).stdout
        return out.count('"pong"')


@contextlib.contextmanager
def celery_peer() -> Generator[CeleryPeer]:
    """Start the peer without workers; take everything down at the end."""
    environment_of("celery")
    http, redis = free_ports(2)
    folder = Path(tempfile.mkdtemp(prefix="gateway-peer-"))
    env = {**os.environ, "PEER_REDIS_URL": f"redis://127.0.0.1:{redis}/0"}
    peer = CeleryPeer(f"http://127.0.0.1:{http}", env["PEER_REDIS_URL"], folder, env, {})
    redis_command = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    door_command = [VENV / "bin" / "uvicorn", "door:app", "--port", str(http), "--log-level", "warning"]
    try:
        peer.fixed["redis"] = _spawn(peer, "redis", [*redis_command, "--dir", str(folder)])
        peer.fixed["door"] = _spawn(peer, "door", door_command)
        until_open(f"{peer.url}/docs", _START_S)
        yield peer
    finally:
        peer.stop_workers()
        for process in peer.fixed.values():
            kill_group(process)
        shutil.rmtree(folder, ignore_errors=True)


def _spawn(peer: CeleryPeer, name: str, command: list[str | Path]) -> subprocess.Popen[bytes]:
    with (peer.folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=HERE, env=peer.env, stdout=log, stderr=log, start_new_session=True)
