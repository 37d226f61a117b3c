"""What docs/runbook.md tells an operator to type where the gateway runs in containers."""

import json
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

import httpx
import pytest

from tests.containers.engine import PROJECT, ROOT, Compose, run, secret, services
from tests.containers.load import Load
from tests.containers.steps import AGAIN, ROLES, another, submit_letter, until_healthy, until_read
from tests.waiting import until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1200)]


def tools(compose: Compose, *arguments: str, key: str = "", check: bool = True) -> str:
    """Run a command of the command line as the runbook says."""
    given = ("-e", f"GATEWAY_API_KEY={key}") if key else ()
    return compose("run", "--rm", "-T", *given, "tools", "gateway", *arguments, check=check)


def ids(compose: Compose, service: str) -> set[str]:
    """Return a service's containers."""
    return {c["Id"] for c in compose.containers() if c["service"] == service}


def test_the_command_line_works_in_containers(compose: Compose, http: httpx.Client) -> None:
    job_id = submit_letter(http)
    until_read(http, job_id)
    scopes = ("--scopes", "jobs,usage,admin", "--quiet")
    key = tools(compose, "keys", "create", "--service", "ops", *scopes).strip()
    for command in ("lag", "keys list", "services list", "dlt list", "topics --keep ocr.requests.bulk=30d"):
        tools(compose, *command.split())
    assert "retention.ms" in tools(compose, "topics", "--json")
    assert job_id in tools(compose, "job", job_id, "--trace", "--json")
    for command in ("jobs", "replay list", "usage --by service,module"):
        tools(compose, *command.split(), key=key)
    tools(compose, "purge", "--job", job_id, "--dry-run")  # it looks into the blob store
    checks = {check["name"]: check for check in json.loads(tools(compose, "doctor", "--json", check=False))}
    for name in ("python", "environment", "gateway", "kafka", "redis", "blob store"):
        assert checks[name]["ok"] is True, checks[name]
    assert not checks.keys() & {"java", "kafka jars", "redis-server", "tesseract", "local stack"}


def test_containers_and_their_logs_are_looked_at(compose: Compose, http: httpx.Client) -> None:
    seen = compose("ps", "-a")
    assert all(f"{PROJECT}-{service}-1" in seen for service in compose.services)
    lines = compose("logs", "--no-log-prefix", "-n", "5000", "job-state").splitlines()
    assert lines
    for line in lines:
        # Some of Compose's versions clear the terminal's line first, whether there is one or not.
        assert "event" in json.loads(line.removeprefix("\x1b[2K")), line


def test_a_role_is_started_again(compose: Compose, http: httpx.Client) -> None:
    began = {c["State"]["StartedAt"] for c in compose.containers() if c["service"] == "metering"}
    compose("restart", "metering")
    until_healthy(compose)
    assert not began & {c["State"]["StartedAt"] for c in compose.containers() if c["service"] == "metering"}


def test_views_come_again_when_redis_is_emptied(compose: Compose, http: httpx.Client) -> None:
    job_id = submit_letter(http)
    until_read(http, job_id)
    flush = "REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli flushall"
    assert "OK" in compose("exec", "-T", "redis", "sh", "-c", flush)
    until(lambda: http.get(f"/v1/jobs/{job_id}").status_code == 200, 120, every_s=1)


def test_a_table_is_made_from_the_log_again_in_containers(compose: Compose, http: httpx.Client) -> None:
    job_id = submit_letter(http)
    until_read(http, job_id)
    before = http.get(f"/v1/jobs/{job_id}").json()
    compose("stop", "job-state")
    tools(compose, "restore", "job-state", "--yes")
    compose("start", "job-state")
    until_healthy(compose)
    until(lambda: http.get(f"/v1/jobs/{job_id}").status_code == 200, 120, every_s=1)
    assert http.get(f"/v1/jobs/{job_id}").json() == before


def test_redis_gets_another_password(compose: Compose, http: httpx.Client) -> None:
    job_id = submit_letter(http)
    until_read(http, job_id)
    another("redis_password")
    compose(*AGAIN, "redis", *ROLES)
    until_healthy(compose)
    until_read(http, job_id)


def test_redis_is_moved(compose: Compose, http: httpx.Client) -> None:
    job_id = submit_letter(http)
    until_read(http, job_id)
    with elsewhere() as url:
        (ROOT / "ops/secrets/redis_url").write_text(url)
        try:
            compose(*AGAIN, *ROLES)
            until_healthy(compose)
            compose("stop", "redis")
            until_read(http, job_id)
            until_read(http, submit_letter(http))
            compose("start", "redis")
        finally:
            another("redis_url")
        compose(*AGAIN, *ROLES)
        until_healthy(compose)
    until_read(http, job_id)


@contextmanager
def elsewhere() -> Generator[str]:
    """Run another Redis where the processes reach it, and return its address."""
    name = f"{PROJECT}-redis-2"
    try:
        image = services()["redis"]["image"]
        command = ("redis-server", "--save", "", "--requirepass", "other", "--maxmemory-policy", "noeviction")
        run("docker", "run", "--detach", "--name", name, "--network", f"{PROJECT}_inside", image, *command)
        yield f"redis://:other@{name}:6379/0\n"
    finally:
        run("docker", "rm", "--force", "--volumes", name, check=False)


def shown(port: int) -> str:
    """Return the certificate that a listener of this host shows."""
    asked = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}")
    told = subprocess.run(asked, input="", capture_output=True, text=True).stdout
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return told[told.index(begin) : told.index(end) + len(end)]


def test_listeners_get_other_certificates(compose: Compose, http: httpx.Client) -> None:
    for service, port in (("proxy", 8443), ("kafka", 9094)):
        before = shown(port)
        another(f"{service}_cert.pem", f"{service}_key.pem")
        compose(*AGAIN, service)
        until_healthy(compose)
        until(lambda port=port, before=before: shown(port) != before, 60, every_s=1)
        assert shown(port) == secret(f"{service}_cert.pem")
    until_read(http, submit_letter(http))


def test_kafkas_own_user_gets_another_password(compose: Compose, http: httpx.Client) -> None:
    another("kafka_admin")
    script = ("/opt/kafka/bin/kafka-configs.sh", "--bootstrap-server", "localhost:9092", "--alter")
    user = ("--entity-type", "users", "--entity-name", "admin")
    password = ("--add-config", f"SCRAM-SHA-512=[password={secret('kafka_admin')}]")
    told = compose("exec", "-T", "-e", "KAFKA_HEAP_OPTS=-Xmx128m", "kafka", *script, *user, *password)
    assert "Completed updating config for user admin" in told


def test_every_role_is_renewed_under_load_and_nothing_fails(compose: Compose, http: httpx.Client) -> None:
    old = {service: ids(compose, service) for service in ROLES}
    looked_up = submit_letter(http)
    until_read(http, looked_up)
    with Load(http, looked_up) as load:
        until(lambda: load.answers > 50, 120)
        done = subprocess.run(
            [ROOT / "ops/docker/roll.sh"], env={**os.environ, **compose.variables}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert load.failed == [], f"{len(load.failed)} of {load.answers}"
    for service in ROLES:
        assert len(ids(compose, service)) == len(old[service]), service
        assert not ids(compose, service) & old[service], service
    for job_id in load.jobs:
        until_read(http, job_id)
    print(f"{load.answers} requests, {len(load.jobs)} letters")
