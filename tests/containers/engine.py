"""The container engine of this machine, and `compose.kafka.yml` on it."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "llm-gateway-test"
LEFT_OUT = {"ollama", "grafana"}
"""They come from a registry only; the letter's path needs neither."""
ONCE = {"topics", "owner", "bucket"}
"""What does its work and ends."""


def run(*command: str, check: bool = True, more: Mapping[str, str] | None = None) -> str:
    """Run a command, with more variables, and return what it prints; on failure the error quotes its last words."""
    environment = {**os.environ, **(more or {})}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def has_compose() -> bool:
    """Tell whether there is a Compose that reads our files: 1 knows no dependency that may be missing."""
    return subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0


def why_not() -> str:
    """Return why containers cannot be run here, empty when they can."""
    if shutil.which("docker") is None:
        return "there is no docker here"
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        return "no Docker engine answers here"
    if not has_compose():
        return "there is no docker compose here"
    images = {s["image"].replace("${GATEWAY_VERSION:-0.1.0}", "0.1.0") for s in services().values()}
    missing = [i for i in images if subprocess.run(["docker", "image", "inspect", i], capture_output=True).returncode]
    return f"images are missing ({', '.join(sorted(missing))}): tests/containers/make-base.sh, then build" * bool(
        missing
    )


def services() -> dict[str, Any]:
    """Return the services of the compose file that are run here."""
    return {n: s for n, s in read()["services"].items() if n not in LEFT_OUT}


def read(name: str = "compose.kafka.yml") -> dict[str, Any]:
    """Return a compose file."""
    return yaml.safe_load((ROOT / name).read_text())


class Compose:
    """The compose file, with overlays and profiles, under a project name of the tests' own, without what is left out.

    `settings` are what an operator writes into `.env`; the one beside the compose files is not read.
    """

    def __init__(
        self, folder: Path, *overlays: str, profiles: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> None:
        left_out, environment = folder / "left-out.yml", folder / "env"
        left_out.write_text(yaml.safe_dump({"services": {name: {"profiles": ["left-out"]} for name in LEFT_OUT}}))
        environment.write_text("".join(f"{name}={value}\n" for name, value in (settings or {}).items()))
        names = ("compose.kafka.yml", *overlays)
        self.variables = {
            "COMPOSE_FILE": ":".join([*names, str(left_out)]),
            "COMPOSE_PROFILES": ",".join(profiles),
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_ENV_FILES": str(environment),
        }
        """What makes `docker compose`, of a script as well, mean this."""
        merged: dict[str, Any] = {}
        for name in names:
            for service, told in read(name)["services"].items():
                merged[service] = merged.get(service, {}) | told
        asleep = {name for name, told in merged.items() if not {*told.get("profiles", ())} <= {*profiles}}
        self.services = merged.keys() - LEFT_OUT - asleep

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a compose command."""
        return run("docker", "compose", *arguments, check=check, more=self.variables)

    def containers(self) -> list[dict[str, Any]]:
        """Return what the engine tells of each running container, with its service under `service`."""
        found = run("docker", "ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        told: list[dict[str, Any]] = json.loads(run("docker", "inspect", *found)) if found else []
        return [{**one, "service": one["Config"]["Labels"]["com.docker.compose.service"]} for one in told]


class Events:
    """What the engine tells of a project's containers while entered: when each was started, healthy, and at its end."""

    def __init__(self, folder: Path, project: str = PROJECT) -> None:
        self._file = folder / "events"
        self._command = ["docker", "events", "--format", "{{json .}}", "--filter", "type=container"]
        self._command += ["--filter", f"label=com.docker.compose.project={project}"]
        for event in ("start", "health_status", "die"):
            self._command += ["--filter", f"event={event}"]

    def __enter__(self) -> Self:
        with self._file.open("wb") as file:
            self._process = subprocess.Popen(self._command, stdout=file)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def first(self, service: str, event: str) -> int:
        """Return when a service's container first told this, in nanoseconds; fails when it never did."""
        for line in self._file.read_text().splitlines():
            told = json.loads(line)
            told_of = told["Actor"]["Attributes"]["com.docker.compose.service"]
            if (told_of, told["Action"].replace("health_status: ", "")) == (service, event):
                return told["timeNano"]
        raise AssertionError(f"no container of {service} was ever {event}:\n{self._file.read_text()[-3000:]}")


def secret(name: str) -> str:
    """Return a secret that `make-secrets.sh` made."""
    return (ROOT / "ops/secrets" / name).read_text().strip()


def environment_holds(container: dict[str, Any], value: str) -> bool:
    """Tell whether a value stands in a container's environment or command, where every look at it shows it."""
    config = container["Config"]
    return any(value in text for text in [*config["Env"], *(config["Cmd"] or ()), *(config["Entrypoint"] or ())])


def engine_address() -> str:
    """Return where published ports are reached."""
    return os.environ.get("GATEWAY_TEST_DOCKER_HOST", "127.0.0.1")
