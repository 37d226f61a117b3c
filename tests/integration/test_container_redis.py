"""The containers' Redis without a container: command, health check and password as `compose.kafka.yml` has them, and
what the runbook does to it. Only folders and the port are others.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml

from tests.services import free_port, wait_for_port

ROOT = Path(__file__).resolve().parents[2]
REDIS = yaml.safe_load((ROOT / "compose.kafka.yml").read_text())["services"]["redis"]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()


class Server:
    """One as in the compose file."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.password = folder / "redis_password"

    def here(self, command: str) -> str:
        """Give a command of the container as it is here."""
        text = command.replace("$$", "$").replace("/run/secrets/", f"{self._folder}/")
        text = re.sub(r"\$\{GATEWAY_REDIS_MAXMEMORY:-(\w+)\}", r"\1", text)
        text = text.replace("redis-server ", f"redis-server --port {self._port} --dir {self._folder} ")
        return text.replace("redis-cli", f"redis-cli -p {self._port}")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell's command as inside the container."""
        environment = {"PATH": os.environ["PATH"]}
        return subprocess.run(["sh", "-c", self.here(command)], env=environment, capture_output=True, text=True)

    def start(self) -> None:
        """Start it."""
        shell, option, command = REDIS["command"]
        with (self._folder / "log").open("ab") as out:
            self._process = subprocess.Popen([shell, option, self.here(command)], stdout=out, stderr=out)
        wait_for_port(self._port, self._process, self._folder / "log")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)

    def client(self, password: str) -> redis.Redis:
        """Sign in."""
        return redis.Redis(port=self._port, password=password)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.password.write_text("first\n")
    made.start()
    yield made
    made.stop()


def test_it_is_healthy_closed_and_forgets_nothing_by_itself(server: Server) -> None:
    (_, health) = REDIS["healthcheck"]["test"]
    assert server.run(health).returncode == 0
    with server.client("guessed") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with server.client("first") as own:
        assert own.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert own.config_get("maxmemory") == {"maxmemory": str(2 << 30)}
        assert own.config_get("save") == {"save": ""}


def test_it_is_emptied_as_the_runbook_says(server: Server) -> None:
    (command,) = re.findall(r"exec redis sh -c '([^']+flushall)'", RUNBOOK)
    with server.client("first") as own:
        own.set("a", "b", ex=100)
        assert server.run(command).stdout.strip() == "OK"
        assert own.dbsize() == 0


def test_another_password_holds_from_a_restart_on(server: Server) -> None:
    server.password.write_text("second\n")
    server.stop()
    server.start()
    (_, health) = REDIS["healthcheck"]["test"]
    assert server.run(health).returncode == 0
    with server.client("second") as own:
        assert own.ping()
    with server.client("first") as old, pytest.raises(redis.AuthenticationError):
        old.ping()
