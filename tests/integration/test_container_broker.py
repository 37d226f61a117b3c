"""The containers' broker without a container: `start-container.sh`, `container.properties` and the secrets as compose
mounts them, on the set-up's own Kafka, and what the runbook does to it. Only folders and ports are others.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from prometheus_client import REGISTRY

from streams.client import Bootstrap, Login
from streams.watch.certificates import Certificates
from tests.batch_door_probes import login_error
from tests.certificates import end_in
from tests.services import KAFKA_LIBS, free_port, wait_for_port

pytestmark = [pytest.mark.kafka, pytest.mark.full, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
# What the image's scripts in /opt/kafka/bin start.
TOOLS = {
    "kafka-storage.sh": "kafka.tools.StorageTool",
    "kafka-server-start.sh": "kafka.Kafka",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
}


class Broker:
    """One as in `compose.kafka.yml`, in a folder that stands for the container's root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {9092: free_port(), 9093: free_port(), 9094: free_port()}
        for path in ("mnt/shared/config", "opt/kafka/bin", "var/lib/kafka/data", "run/secrets", "tmp"):
            (folder / path).mkdir(parents=True)
        self._secrets = folder / "made"
        (self._secrets / "ops/docker").mkdir(parents=True)
        (self._secrets / "ops/secrets").mkdir()
        shutil.copy(ROOT / "ops/docker/make-secrets.sh", self._secrets / "ops/docker")
        self.make_secrets()
        properties = (ROOT / "ops/kafka/container.properties").read_text()
        (folder / "mnt/shared/config/server.properties").write_text(self.here(properties))
        for script, java in TOOLS.items():
            tool = folder / "opt/kafka/bin" / script
            tool.write_text(
                f'#!/bin/bash\nexec java $KAFKA_HEAP_OPTS -XX:+UseSerialGC -cp "{KAFKA_LIBS}/*" {java} "$@"\n'
            )
            tool.chmod(0o755)
        self._environment = {
            "PATH": os.environ["PATH"],
            "KAFKA_HEAP_OPTS": "-Xmx256m -XX:TieredStopAtLevel=1",
            "CLUSTER_HOST": "localhost",
            "CLUSTER_PORT": str(self.ports[9094]),
            "CLUSTER_VOTERS": f"1@localhost:{self.ports[9093]}",
        }

    def here(self, text: str) -> str:
        """Give the container's folders and ports as they are here."""
        folders = r"(?<![\w/])/(?=(?:mnt/shared|opt/kafka|var/lib/kafka|run/secrets|tmp)/)"
        text = re.sub(folders, f"{self.folder}/", text)
        for port, own in self.ports.items():
            text = re.sub(rf"(?<=[:]){port}\b", str(own), text)
        return text

    def make_secrets(self) -> None:
        """Run `make-secrets.sh`, and mount what it made as compose does: `kafka_keystore.pem` as kafka_keystore."""
        subprocess.run([self._secrets / "ops/docker/make-secrets.sh"], check=True, capture_output=True)
        for name, file in (("kafka_keystore", "kafka_keystore.pem"), ("kafka_admin", "kafka_admin")):
            shutil.copy(self._secrets / "ops/secrets" / file, self.folder / "run/secrets" / name)

    def secret(self, name: str) -> Path:
        """Return where a file of `ops/secrets` is."""
        return self._secrets / "ops/secrets" / name

    def start(self) -> None:
        """Start it as the container's entrypoint does."""
        script = self.folder / "start-kafka.sh"
        script.write_text(self.here((ROOT / "ops/kafka/start-container.sh").read_text()))
        with (self.folder / "log").open("ab") as out:
            self._process = subprocess.Popen(["bash", script], env=self._environment, stdout=out, stderr=out)
        wait_for_port(self.ports[9094], self._process, self.folder / "log")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)

    def run(self, command: str) -> None:
        """Run one of the image's tools, as `docker compose exec kafka` would, with `ops/secrets` beside it."""
        own = self.here(command).replace("ops/secrets/", f"{self._secrets}/ops/secrets/")
        done = subprocess.run(["bash", "-c", own], env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def door(self, password: str) -> Bootstrap:
        """Return how the administrator comes in from outside."""
        login = Login("SASL_SSL", "SCRAM-SHA-512", "admin", password, str(self.secret("kafka_cert.pem")))
        return Bootstrap(f"localhost:{self.ports[9094]}", login)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("container"))
    made.start()
    yield made
    made.stop()


def of_the_runbook(row: str) -> str:
    """Return the command that the runbook tells for a changed secret, as the container is given it."""
    line = next(line for line in (ROOT / "docs/runbook.md").read_text().splitlines() if line.startswith(f"| `{row}`"))
    (command,) = re.findall(r"`docker compose -f compose\.kafka\.yml exec (?:-e \S+ )?kafka ([^`]+)`", line)
    return command


def test_the_door_lets_in_who_knows_the_password_and_nobody_else(broker: Broker) -> None:
    assert login_error(broker.door(broker.secret("kafka_admin").read_text().strip())) == 0
    assert login_error(broker.door("guessed")) == KafkaError._AUTHENTICATION


async def told_of(broker: Broker) -> float | None:
    """Return when the certificate ends that ingress sees at the door."""
    listener = f"localhost:{broker.ports[9094]}"
    assert await Certificates([listener]).look()
    return REGISTRY.get_sample_value("gateway_certificate_end_timestamp_seconds", {"listener": listener})


async def test_ingress_sees_when_the_doors_certificate_ends(broker: Broker) -> None:
    assert await told_of(broker) == end_in(broker.secret("kafka_cert.pem")).timestamp()


def test_the_administrators_password_is_changed_as_the_runbook_says(broker: Broker) -> None:
    old = broker.secret("kafka_admin").read_text().strip()
    broker.secret("kafka_admin").unlink()
    broker.make_secrets()
    new = broker.secret("kafka_admin").read_text().strip()
    assert new != old
    assert login_error(broker.door(new)) == KafkaError._AUTHENTICATION, "Kafka was not told yet"
    command = of_the_runbook("kafka_admin")
    assert shlex.split(command)[0] == "/opt/kafka/bin/kafka-configs.sh"
    broker.run(command)
    assert login_error(broker.door(new)) == 0
    assert login_error(broker.door(old)) == KafkaError._AUTHENTICATION


async def test_another_certificate_is_shown_after_a_restart(broker: Broker) -> None:
    certificate = broker.secret("kafka_cert.pem")
    old = end_in(certificate).timestamp()
    for name in ("kafka_cert.pem", "kafka_key.pem"):
        broker.secret(name).unlink()
    broker.make_secrets()
    new = end_in(certificate).timestamp()
    assert await told_of(broker) == old != new
    broker.stop()
    broker.start()
    assert await told_of(broker) == new
    assert login_error(broker.door(broker.secret("kafka_admin").read_text().strip())) == 0, "passwords are in its log"
