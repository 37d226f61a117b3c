"""Processes of tables for tests: a Redis of the test's own, and a `python -m …` that folds."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.services import ROOT, free_port, wait_for_port


class OwnRedis:
    """A Redis that a test may stop, start and empty."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        with (self._folder / "redis.log").open("ab") as out:
            self._process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""],
                cwd=self._folder,
                stdout=out,
                stderr=out,
            )
        wait_for_port(self.port, self._process, self._folder / "redis.log")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class TableProcess:
    """`python -m MODULE`, as the stack starts it."""

    def __init__(self, module: str, kafka: str, redis_url: str, folder: Path, **env: str) -> None:
        self._module, self._log = module, folder / "process.log"
        self.metrics_port = free_port()
        self._env = {
            **os.environ,
            "GATEWAY_KAFKA_BOOTSTRAP": kafka,
            "GATEWAY_REDIS_URL": redis_url,
            "GATEWAY_DATA_DIR": str(folder / "data"),
            "GATEWAY_METRICS_PORT": str(self.metrics_port),
            **env,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module], cwd=ROOT, env=self._env, stdout=out, stderr=out
            )

    def end(self, signum: int = signal.SIGTERM) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signum)
        return process.wait(timeout=30)

    def readiness(self) -> dict[str, str]:
        assert self._process is None or self._process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            return json.load(e)
        except OSError:
            return {"state": "no answer", "reason": ""}

    def ready(self) -> bool:
        return self.readiness()["state"] == "ready"

    def metrics(self) -> dict[str, float]:
        """Return the process's figures by name and labels, as they are written."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"}
