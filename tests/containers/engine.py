"""The container engine of this machine, and `compose.kafka.yml` on it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "llm-gateway-test"
# They come from a registry only; the letter's path needs none of them.
LEFT_OUT = {"ollama", "owner", "grafana", "minio", "bucket", "alertmanager"}


def run(*command: str, check: bool = True) -> str:
    """Run a command and return what it prints; on failure the error quotes its last words."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def compose_command() -> tuple[str, ...]:
    """Return how Compose is called here, empty when there is none."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else ()


def why_not() -> str:
    """Return why containers cannot be run here, empty when they can."""
    if shutil.which("docker") is None:
        return "there is no docker here"
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        return "no Docker engine answers here"
    if not compose_command():
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
    """The compose file, with overlays, under a project name of the tests' own, without what is left out."""

    def __init__(self, folder: Path, *overlays: str) -> None:
        self._files: list[str] = []
        self.services: set[str] = set()
        for name in ("compose.kafka.yml", *overlays):
            whole = read(name)
            whole.pop("name", None)  # the tests' own; Compose 1 does not know it
            whole["services"] = {n: s for n, s in whole["services"].items() if n not in LEFT_OUT}
            self.services |= {n for n, s in whole["services"].items() if "profiles" not in s}
            (folder / name).write_text(yaml.safe_dump(whole))
            self._files += ["--file", str(folder / name)]

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a compose command."""
        own = ("--project-directory", str(ROOT), "--project-name", PROJECT, *self._files)
        return run(*compose_command(), *own, *arguments, check=check)

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
