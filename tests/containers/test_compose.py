"""`compose.kafka.yml` on a real engine: a letter through the proxy, more of a part, and what each container may do.

Minutes long, and it takes the ports 8443 and 9094: only with `./gateway test tests/containers --containers`.
"""

import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.containers.engine import (
    ROOT,
    Compose,
    engine_address,
    environment_holds,
    run,
    secret,
    services,
    why_not,
)

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]
LETTER = ROOT / "cli/data/demo-letter.pdf"
START_S = 400


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    if reason := why_not():
        pytest.skip(reason)
    subprocess.run([ROOT / "ops/docker/make-secrets.sh"], check=True)
    compose = Compose(tmp_path_factory.mktemp("compose"))
    try:
        compose("up", "--detach", "--no-build")
        yield compose
        print(compose("logs", "--tail", "30"))
    finally:
        compose("down", "--volumes", "--timeout", "60", check=False)


@pytest.fixture(scope="module")
def http(compose: Compose) -> Iterator[httpx.Client]:
    until_healthy(compose)
    key = compose("run", "--rm", "-T", "topics", "gateway", "keys", "create", "--service", "test", "--quiet").strip()
    with httpx.Client(
        base_url=f"https://{engine_address()}:8443",
        headers={"Authorization": f"Bearer {key}"},
        verify=False,
        timeout=120,
        trust_env=False,
    ) as client:
        yield client


def until_healthy(compose: Compose) -> None:
    """Wait until every container with a health check is healthy."""
    deadline = time.monotonic() + START_S
    while True:
        states = {c["Name"]: c["State"].get("Health", {}).get("Status", "none") for c in compose.containers()}
        running = {c["service"] for c in compose.containers()}
        if running == set(services()) - {"topics"} and set(states.values()) <= {"healthy", "none"}:
            return
        assert time.monotonic() < deadline, f"{states}\n{compose('logs', '--tail', '15')}"
        time.sleep(2)


def read_letter(http: httpx.Client) -> None:
    with LETTER.open("rb") as file:
        answer = http.post("/v1/gongmun", files={"file": ("letter.pdf", file, "application/pdf")})
    assert answer.status_code == 202, answer.text
    deadline = time.monotonic() + 300
    while True:
        found = http.get(f"/v1/jobs/{answer.json()['job_id']}", params={"wait": 60})
        if found.status_code == 200 and found.json()["status"] == "done":
            assert found.json()["result"]["document_number"]["value"]
            return
        assert time.monotonic() < deadline, found.text
        time.sleep(1)


def test_a_letter_goes_through(http: httpx.Client) -> None:
    read_letter(http)


def test_parts_are_scaled_without_further_change(compose: Compose, http: httpx.Client) -> None:
    compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "ocr=2", "--scale", "ingress=2")
    until_healthy(compose)
    names = [c["service"] for c in compose.containers()]
    assert names.count("ocr") == names.count("ingress") == 2
    read_letter(http)
    # Prometheus finds all of them by itself.
    query = ("wget", "-q", "-O", "-", "http://127.0.0.1:9090/api/v1/query?query=count(up{job=~%22ocr|ingress%22}==1)")
    deadline = time.monotonic() + 120
    while '"4"]' not in (told := compose("exec", "-T", "prometheus", *query)):
        assert time.monotonic() < deadline, told
        time.sleep(2)


def test_containers_have_no_more_rights_than_they_need(compose: Compose, http: httpx.Client) -> None:
    for container in compose.containers():
        name, host = container["Name"], container["HostConfig"]
        assert container["Config"]["User"].split(":")[0] not in ("", "0", "root"), name
        assert host["ReadonlyRootfs"] is True, name
        assert host["Privileged"] is False, name
        uid = run("docker", "exec", container["Id"], "id", "-u").strip()
        assert uid != "0", name
        wrote = subprocess.run(["docker", "exec", container["Id"], "touch", "/usr/x"], capture_output=True)
        assert wrote.returncode != 0, name


def test_secrets_are_in_files_alone(compose: Compose, http: httpx.Client) -> None:
    for name in ("redis_password", "kafka_admin"):
        assert not any(environment_holds(c, secret(name)) for c in compose.containers()), name


def test_only_the_doors_are_open_beyond_the_host(compose: Compose, http: httpx.Client) -> None:
    published = {
        (c["service"], int(port.split("/")[0]))
        for c in compose.containers()
        for port, bound in (c["NetworkSettings"]["Ports"] or {}).items()
        if bound
    }
    assert published == {("proxy", 8443), ("kafka", 9094)}
