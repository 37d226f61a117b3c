"""`compose.cluster.yml` on a real engine: three brokers, one of them killed while a letter is read."""

from collections.abc import Iterator

import httpx
import pytest

from schemas.topics import all_topics
from tests.containers.engine import Compose, run, why_not
from tests.containers.steps import brought_up, proxy, submit_letter, until_healthy, until_read
from tests.waiting import until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]
IN_SYNC_S = 180


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    if reason := why_not():
        pytest.skip(reason)
    with brought_up(tmp_path_factory.mktemp("cluster"), "compose.cluster.yml") as compose:
        yield compose


@pytest.fixture(scope="module")
def http(cluster: Compose) -> Iterator[httpx.Client]:
    with proxy(cluster) as client:
        yield client


def described(cluster: Compose, broker: str, *arguments: str) -> str:
    """Return what a broker tells of topics."""
    script = ("/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "localhost:9092", "--describe")
    return cluster("exec", "-T", "-e", "KAFKA_HEAP_OPTS=-Xmx128m", broker, *script, *arguments)


def test_every_topic_is_there_three_times_and_a_write_is_acknowledged_by_two(
    cluster: Compose, http: httpx.Client
) -> None:
    heads = [line for line in described(cluster, "kafka-2").splitlines() if line.startswith("Topic:")]
    named = {head.split()[1]: head for head in heads}
    ours = {topic.name for topic in all_topics()}
    assert ours | {"__consumer_offsets", "__transaction_state"} <= named.keys()
    assert [name for name, head in named.items() if "ReplicationFactor: 3" not in head] == []
    assert [name for name in ours if "min.insync.replicas=2" not in named[name]] == []
    # Kafka's own topics, and whatever does not say otherwise.
    settings = cluster("exec", "-T", "kafka-2", "cat", "/tmp/server.properties").splitlines()
    least = {name: value for name, _, value in (s.partition("=") for s in settings) if ".min.isr" in name}
    assert len(least) == 2
    assert set(least.values()) == {"2"}
    assert "min.insync.replicas=2" in settings


def test_letters_are_read_while_the_first_broker_is_dead(cluster: Compose, http: httpx.Client) -> None:
    under_way = submit_letter(http)
    (first,) = [c["Id"] for c in cluster.containers() if c["service"] == "kafka"]
    run("docker", "kill", first)
    assert "kafka" not in {c["service"] for c in cluster.containers()}
    until_read(http, under_way)
    until_read(http, submit_letter(http))
    assert described(cluster, "kafka-2", "--under-replicated-partitions").strip()

    cluster("up", "--detach", "--no-build", "--no-recreate")
    until_healthy(cluster)
    until(lambda: not described(cluster, "kafka-2", "--under-replicated-partitions").strip(), IN_SYNC_S, every_s=2)
    until_read(http, submit_letter(http))
