"""Kafka and Redis as the other tests get them where an engine answers: in containers of compose.kafka.yml's images."""

import pytest
import redis

from schemas.topics import RESULTS
from streams.log.admin import kafka_admin
from tests.containers.engine import run, services, why_not
from tests.services import KAFKA_IMAGE, REDIS_IMAGE, kafka_bootstrap, redis_address

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := why_not():
        pytest.skip(reason)
    monkeypatch.delenv("GATEWAY_TEST_KAFKA", raising=False)
    monkeypatch.delenv("GATEWAY_TEST_REDIS", raising=False)


def running(image: str) -> int:
    """Return how many containers of an image run."""
    return len(run("docker", "ps", "--quiet", "--filter", f"ancestor={image}").split())


def test_the_images_are_those_of_the_compose_file() -> None:
    assert (services()["kafka"]["image"], services()["redis"]["image"]) == (KAFKA_IMAGE, REDIS_IMAGE)


async def test_kafka_comes_from_a_container() -> None:
    before = running(KAFKA_IMAGE)
    with kafka_bootstrap() as bootstrap:
        assert running(KAFKA_IMAGE) == before + 1
        async with kafka_admin(bootstrap) as admin:
            await admin.ensure_topics([RESULTS])
            assert await admin.topic_names() == {RESULTS.name}
    assert running(KAFKA_IMAGE) == before


def test_redis_comes_from_a_container() -> None:
    before = running(REDIS_IMAGE)
    with redis_address() as url, redis.from_url(url) as client:
        assert running(REDIS_IMAGE) == before + 1
        client.set("a", "b", ex=10)
        assert client.get("a") == b"b"
    assert running(REDIS_IMAGE) == before
