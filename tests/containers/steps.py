"""What the tests of the compose files do with them: bring them up, wait until all is healthy, have a letter read."""

import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.containers.engine import ONCE, ROOT, Compose, engine_address
from tests.waiting import until

LETTER = ROOT / "cli/data/demo-letter.pdf"
WAVE = b"RIFF\0\0\0\0WAVE"
"""What a recording begins with: uploads are looked at."""
NUMBER = "농촌활력과-512"
START_S = 400
READ_S = 300
ROLES = ("job-state", "metering", "admission", "ingress", "ocr", "stt", "llm")
AGAIN = ("up", "--detach", "--no-deps", "--force-recreate")
"""How the runbook has containers take a changed secret."""


@contextmanager
def brought_up(
    folder: Path, *overlays: str, profiles: Sequence[str] = (), settings: Mapping[str, str] | None = None
) -> Generator[Compose]:
    """Bring the compose file up with its overlays, as the how-to says, and take it down with all that it kept."""
    subprocess.run([ROOT / "ops/docker/make-secrets.sh"], check=True)
    compose = Compose(folder, *overlays, profiles=profiles, settings=settings)
    try:
        compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(START_S))
        yield compose
        print(compose("logs", "--tail", "30"))
    finally:
        compose("down", "--volumes", "--timeout", "60", check=False)


def until_healthy(compose: Compose) -> None:
    """Wait until everything runs, and every container with a health check is healthy."""
    states: dict[str, str] = {}

    def healthy() -> bool:
        found = compose.containers()
        states.clear()
        states.update({c["Name"]: c["State"].get("Health", {}).get("Status", "none") for c in found})
        all_run = {c["service"] for c in found} == compose.services - ONCE
        return all_run and set(states.values()) <= {"healthy", "none"}

    until(healthy, START_S, every_s=2, told=lambda: f"{states}\n{compose('logs', '--tail', '15')}")


def another(*names: str) -> None:
    """Have secrets made anew, as the runbook says."""
    for name in names:
        (ROOT / "ops/secrets" / name).unlink()
    subprocess.run([ROOT / "ops/docker/make-secrets.sh"], check=True)


def key_of(compose: Compose, service: str) -> str:
    """Make a service a key, as an operator does."""
    return compose("run", "--rm", "-T", "tools", "gateway", "keys", "create", "--service", service, "--quiet").strip()


@contextmanager
def proxy(compose: Compose) -> Generator[httpx.Client]:
    """Return a client of the proxy, once all is healthy, with a key of its own."""
    until_healthy(compose)
    with httpx.Client(
        base_url=f"https://{engine_address()}:8443",
        headers={"Authorization": f"Bearer {key_of(compose, 'test')}"},
        verify=False,
        timeout=120,
        trust_env=False,
    ) as client:
        yield client


def submit_letter(http: httpx.Client) -> str:
    """Submit the demo's letter and return the job's id."""
    with LETTER.open("rb") as file:
        answer = http.post("/v1/gongmun", files={"file": ("letter.pdf", file, "application/pdf")})
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


def until_read(http: httpx.Client, job_id: str) -> None:
    """Wait until the job is done, and look at what was read."""

    def done() -> httpx.Response | None:
        found = http.get(f"/v1/jobs/{job_id}", params={"wait": 60})
        return found if found.status_code == 200 and found.json()["status"] == "done" else None

    read = until(done, READ_S, every_s=1, told=lambda: http.get(f"/v1/jobs/{job_id}").text)
    assert read is not None
    assert read.json()["result"]["document_number"] == NUMBER
