"""A stack whose no-op stage is served by probes instead of the llm process, and the probes that serve it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path

from bench.stack import ROOT, BenchStack, bench_stack, free_ports

_MODULE = Path(__file__).with_name("probe.yml")


@contextlib.contextmanager
def probe_stack(*up_args: str, env: Mapping[str, str] | None = None) -> Generator[BenchStack]:
    """Start a stack with the module `probe` and without `noop`; nothing serves the stage before a Probe does."""
    with tempfile.TemporaryDirectory(prefix="gateway-modules-") as folder:
        shutil.copytree(ROOT / "modules", folder, dirs_exist_ok=True)
        shutil.copy(_MODULE, folder)
        own = {"GATEWAY_MODULES_DIR": folder, "GATEWAY_NOOP": "0", **(env or {})}
        with bench_stack(*up_args, env=own) as stack:
            yield stack


class OwnProcess:
    """One process beside the stack's own, which can be killed and started again: `python -m MODULE`."""

    def __init__(self, stack: BenchStack, name: str, module: str, env: Mapping[str, str]) -> None:
        self.name = name
        self._module = module
        self._log = stack.data_dir / f"{name}.log"
        (self._port,) = free_ports(1)
        self._env = {
            **stack.env,
            "GATEWAY_KAFKA_BOOTSTRAP": stack.bootstrap,
            "GATEWAY_METRICS_PORT": str(self._port),
            "GATEWAY_INSTANCE": name,
            **env,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self, **env: str) -> None:
        """Start the process, with these settings besides."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                (sys.executable, "-m", self._module),
                env={**self._env, **env},
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The process's pid."""
        assert self.process is not None, "start it first"
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        if self.alive:
            os.kill(self.pid, number)

    def is_ready(self) -> bool:
        """Whether the process says that it serves."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self, grace_s: float = 30) -> None:
        """End the process: a drain, then SIGKILL."""
        if self.process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Probe(OwnProcess):
    """One probe process."""

    def __init__(self, stack: BenchStack, name: str, *, concurrency: int = 256) -> None:
        super().__init__(stack, name, "bench.probe", {"PROBE_CONCURRENCY": str(concurrency)})


class Ingress(OwnProcess):
    """One more replica of ingress, with a port of its own."""

    def __init__(self, stack: BenchStack, name: str, redis_url: str) -> None:
        (port,) = free_ports(1)
        super().__init__(stack, name, "ingress", {"GATEWAY_HTTP_PORT": str(port), "GATEWAY_REDIS_URL": redis_url})
        self.url = f"http://127.0.0.1:{port}"
