"""`compose.kafka.yml` on a real engine: a letter through the proxy, more of a part, and what each container may do.

Minutes long, and it takes the ports 8443 and 9094: only with `./gateway test tests/containers --containers`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError

from schemas.batch import BatchAnswer, BatchRequest
from streams.client import BlockingDoor, Bootstrap, Login
from tests.batch_door_probes import Service, login_error, reading, writing
from tests.containers.engine import ROOT, Compose, Events, environment_holds, read, run, secret, services
from tests.containers.hook import Hook
from tests.containers.steps import LETTER, NUMBER, WAVE, key_of, submit_letter, until_healthy, until_read
from tests.waiting import until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]
KAFKA_CERTIFICATE = ROOT / "ops/secrets/kafka_cert.pem"


@pytest.fixture(scope="module")
def mail(compose: Compose, http: httpx.Client) -> Service:
    """A service with a batch door."""
    return with_a_door(compose, "mail")


def with_a_door(compose: Compose, name: str) -> Service:
    """Open a service's door as an operator does, and return how its programs sign in from outside."""
    told = compose("run", "--rm", "-T", "tools", "gateway", "services", "create", name, "--batch")
    login = json.loads(told)["kafka"]
    door = Login("SASL_SSL", login["mechanism"], login["username"], login["password"], str(KAFKA_CERTIFICATE))
    return Service(name, Bootstrap("localhost:9094", door))


def test_a_letter_goes_through(http: httpx.Client) -> None:
    until_read(http, submit_letter(http))


def test_each_part_is_started_when_what_it_needs_is_healthy(
    compose: Compose, events: Events, http: httpx.Client
) -> None:
    reached = {"service_healthy": "healthy", "service_completed_successfully": "die"}
    asked = [
        (name, needed, reached[wanted["condition"]])
        for name, service in services().items()
        for needed, wanted in service.get("depends_on", {}).items()
        if {name, needed} <= compose.services
    ]
    assert {needed for _, needed, _ in asked} == {"kafka", "redis", "topics", "owner", "ingress"}
    assert [a for a in asked if events.first(a[0], "start") < events.first(a[1], a[2])] == []


def test_a_service_sends_its_letters_through_the_batch_door(
    compose: Compose, http: httpx.Client, mail: Service
) -> None:
    letter = BatchRequest("letter-1", "gongmun", content=LETTER.read_bytes(), name="letter.pdf")
    with BlockingDoor(mail.address, mail.name) as client:
        (told,) = [reply.told for reply in client.ask([letter])]
    assert isinstance(told, BatchAnswer), told
    headers = {"Authorization": f"Bearer {key_of(compose, mail.name)}"}
    job = http.get(f"/v1/jobs/{told.job_id}", headers=headers).json()
    assert (job["status"], job["lane"], job["result"]["document_number"]) == (told.status, "bulk", NUMBER)


def test_a_service_may_nothing_at_the_batch_door_but_use_its_own(compose: Compose, mail: Service) -> None:
    other = with_a_door(compose, "mail-2")
    refused = ["batch.mail", "batch.mail.results", "batch.mail-2.results", "results", "api.keys", "ocr.requests"]
    assert writing(other, [*refused, "batch.mail-2"]) == {
        **dict.fromkeys(refused, KafkaError.TOPIC_AUTHORIZATION_FAILED),
        "batch.mail-2": 0,
    }
    for topic in ("batch.mail", "batch.mail.results", "batch.mail-2", "results", "api.keys"):
        assert reading(other, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED, topic
    assert reading(other, "batch.mail-2.rejected") == 0
    foreign = reading(other, "batch.mail-2.results", group="batch.mail.readers")
    assert foreign == KafkaError.GROUP_AUTHORIZATION_FAILED


async def test_nobody_comes_in_at_the_batch_door_without_a_password_or_tls(mail: Service) -> None:
    login = mail.address.login
    assert login is not None
    guessed = Login(login.protocol, login.mechanism, login.username, "guessed", login.ca_file)
    assert login_error(Bootstrap(mail.address, guessed)) == KafkaError._AUTHENTICATION
    open_ones = AIOKafkaConsumer(bootstrap_servers=str(mail.address), request_timeout_ms=3_000)
    with pytest.raises(AiokafkaError):
        await open_ones.start()
    await open_ones.stop()


def test_parts_are_scaled_without_further_change(compose: Compose, http: httpx.Client) -> None:
    compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "ocr=2", "--scale", "ingress=2")
    until_healthy(compose)
    names = [c["service"] for c in compose.containers()]
    assert names.count("ocr") == names.count("ingress") == 2
    until_read(http, submit_letter(http))
    # Prometheus finds all of them by itself.
    query = ("wget", "-q", "-O", "-", "http://127.0.0.1:9090/api/v1/query?query=count(up{job=~%22ocr|ingress%22}==1)")
    until(lambda: '"4"]' in compose("exec", "-T", "prometheus", *query), 120, every_s=2)


def test_a_recording_that_is_larger_than_the_proxys_memory_comes_in(compose: Compose, http: httpx.Client) -> None:
    mib = bytes(1024 * 1024)
    recording = (mib if n else WAVE + mib[len(WAVE) :] for n in range(400))
    answer = http.post("/v1/blobs", content=recording, headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["size"] == 400 * len(mib)
    (proxy,) = [c for c in compose.containers() if c["service"] == "proxy"]
    assert (proxy["State"]["OOMKilled"], proxy["RestartCount"]) == (False, 0)


def test_an_alert_of_prometheus_reaches_whom_the_secret_names(http: httpx.Client, hook: Hook) -> None:
    """There is no model server here, which wakes somebody."""

    def page() -> list[dict[str, Any]]:
        return [
            told for path, told in hook.told() if path == "/page" and told["groupLabels"]["alertname"] == "NoUpstream"
        ]

    page_ = until(page, 400, every_s=2, told=lambda: str(hook.told()))[0]
    assert (page_["receiver"], page_["status"]) == ("page", "firing")
    (alert,) = page_["alerts"]
    assert alert["labels"]["severity"] == "page"
    assert alert["annotations"]["runbook"] == "docs/runbook.md#noupstream"


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
    names = [Path(one["file"]).name for one in read()["secrets"].values()]
    filled = [name for name in names if secret(name)]  # addresses and keys that only an operator knows begin empty
    assert {"redis_password", "kafka_admin", "s3_secret_key"} <= {*filled}
    for name in filled:
        assert not any(environment_holds(c, secret(name)) for c in compose.containers()), name


def test_only_the_doors_are_open_beyond_the_host(compose: Compose, http: httpx.Client) -> None:
    published = {
        (c["service"], int(port.split("/")[0]))
        for c in compose.containers()
        for port, bound in (c["NetworkSettings"]["Ports"] or {}).items()
        if bound
    }
    assert published == {("proxy", 8443), ("kafka", 9094)}
