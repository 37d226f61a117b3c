"""The services the tests run against: given by address, else containers, else processes of our own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
KAFKA_LIBS = ROOT / "ops" / "kafka" / "libs"
KAFKA_IMAGE = "apache/kafka:4.1.1"
REDIS_IMAGE = "redis:7.4.6-bookworm"
START_S = 90.0

_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{bind}:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.retention.check.interval.ms=3600000
"""
_START_KAFKA = """\
printf %s "$PROPERTIES" >/tmp/server.properties
/opt/kafka/bin/kafka-storage.sh format -t ZGVmYXVsdC1nYXRld2F5MQ -c /tmp/server.properties
exec /opt/kafka/bin/kafka-server-start.sh /tmp/server.properties
"""


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class KafkaBroker:
    """A broker of our own in a folder of its own; can be stopped and started on the same port."""

    def __init__(self, folder: Path, libs: Path = KAFKA_LIBS) -> None:
        self.folder, self.port = folder, free_port()
        self._libs = libs
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = folder / "server.properties"
        here = {"bind": "127.0.0.1", "host": "127.0.0.1", "data": folder / "data"}
        self._properties.write_text(_KAFKA_PROPERTIES.format(port=self.port, controller=free_port(), **here))
        self._java("kafka.tools.StorageTool", "format", "-t", uuid4().hex[:22], "-c", str(self._properties)).wait()

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until the port answers."""
        self._process = self._java("kafka.Kafka", str(self._properties))
        wait_for_port(self.port, self._process, self.folder / "log")

    def stop(self, *, kill: bool = False) -> None:
        """End the process and wait for it."""
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _java(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as out:
            return subprocess.Popen(["java", *_JVM, "-cp", f"{self._libs}/*", *arguments], stdout=out, stderr=out)


@contextmanager
def own_kafka() -> Iterator[KafkaBroker]:
    """Run a broker of our own for the duration of the context."""
    folder = Path(tempfile.mkdtemp(prefix="kafka-"))
    broker = KafkaBroker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop(kill=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def kafka_bootstrap() -> Iterator[str]:
    """Give the address of a broker, started if none is given by GATEWAY_TEST_KAFKA."""
    given = os.environ.get("GATEWAY_TEST_KAFKA")
    if given:
        yield given
    elif image_is_there(KAFKA_IMAGE):
        with kafka_container() as bootstrap:
            yield bootstrap
    else:
        with own_kafka() as broker:
            yield broker.bootstrap


@contextmanager
def kafka_container() -> Iterator[str]:
    """Give the address of a broker in a container of the image that compose.kafka.yml names."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    # testcontainers' own class for Kafka starts Confluent's image only.
    container = DockerContainer(KAFKA_IMAGE).with_kwargs(entrypoint=["/bin/bash", "-c"])
    host, port = container.get_docker_client().host(), free_port()
    given = {"bind": "", "host": host, "data": "/tmp/data"}
    container.with_env("PROPERTIES", _KAFKA_PROPERTIES.format(port=port, controller=free_port(), **given))
    container.with_env("KAFKA_HEAP_OPTS", "-Xmx512m").with_env("LOG_DIR", "/tmp/logs")
    container.with_command([_START_KAFKA]).with_bind_ports(port, port)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(int(START_S)))
    with container:
        yield f"{host}:{port}"


@contextmanager
def redis_address() -> Iterator[str]:
    """Give the URL of a Redis, started if none is given by GATEWAY_TEST_REDIS."""
    given = os.environ.get("GATEWAY_TEST_REDIS")
    if given:
        yield given
    elif image_is_there(REDIS_IMAGE):
        from testcontainers.community.redis import RedisContainer

        with RedisContainer(REDIS_IMAGE) as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
    else:
        port = free_port()
        folder = Path(tempfile.mkdtemp(prefix="redis-"))
        with (folder / "log").open("ab") as out:
            process = subprocess.Popen(
                ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
                stdout=out,
                stderr=out,
            )
        try:
            wait_for_port(port, process, folder / "log")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def image_is_there(image: str) -> bool:
    """Tell whether a Docker engine answers here and has the image; nothing is pulled."""
    if shutil.which("docker") is None:
        return False
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    if Path("/.dockerenv").exists():
        os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    try:
        found = subprocess.run(["docker", "image", "inspect", image], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something listens on `port`; raise with the end of the log when the process ends first."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port} after {START_S} s:\n{log.read_text()[-2000:]}")
