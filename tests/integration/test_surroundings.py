"""What every ingress tells of the log it stands on, looked at on real Kafka."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client import REGISTRY

from schemas.topics import WORK_RETENTION, batch_door
from streams.log.admin import kafka_admin
from streams.redis_client import redis_client
from streams.watch.surroundings import Surroundings
from tests.waiting import WaitUntil

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

SERVICES = [f"late-{uuid4().hex[:8]}" for _ in range(17)]
"""With four partitions each: more than are looked at at once."""


@pytest.fixture
async def doors(kafka: str) -> AsyncGenerator[list[str]]:
    """Doors with a request in each partition, which nobody reads."""
    names = [batch_door(service).requests.name for service in SERVICES]
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics([batch_door(service).requests for service in SERVICES])
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    for name in names:
        for partition in range(4):
            await producer.send(name, b"x", partition=partition)
    await producer.stop()
    yield names
    await delete(kafka, names)


async def delete(kafka: str, names: list[str]) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    await client.delete_topics(names)
    await client.close()


def told(metric: str, topic: str) -> float | None:
    return REGISTRY.get_sample_value(metric, {"group": "admission", "topic": topic})


@pytest.mark.full
async def test_every_door_is_told_with_the_age_of_its_oldest_request_as_long_as_it_is_there(
    kafka: str, redis_url: str, tmp_path: Path, doors: list[str], wait_until: WaitUntil
) -> None:
    redis = redis_client(redis_url)
    surroundings = Surroundings(kafka, redis, tmp_path)
    try:

        async def looked() -> bool:
            await surroundings.look()  # a broker without any group yet makes its coordinator first
            return told("gateway_log_lag", doors[0]) is not None

        async def all_had_their_turn() -> bool:
            await surroundings.look()
            return all(told("gateway_log_oldest_seconds", name) for name in doors)

        await wait_until(looked, 60)
        assert [name for name in doors if told("gateway_log_lag", name) != 4] == []
        await wait_until(all_had_their_turn, 60)  # the broker has what all tests before have left
        kept = REGISTRY.get_sample_value("gateway_log_retention_seconds", {"topic": doors[0]})
        assert kept == 35 * 86_400

        await delete(kafka, doors[:1])

        async def forgotten() -> bool:
            await surroundings.look()
            return told("gateway_log_lag", doors[0]) is None

        await wait_until(forgotten, 60)
        assert told("gateway_log_oldest_seconds", doors[0]) is None
        assert told("gateway_log_lag", doors[1]) == 4
    finally:
        await surroundings.__aexit__()
        await redis.aclose()


async def test_doors_that_were_opened_before_get_what_is_declared_now(kafka: str) -> None:
    """`gateway topics` and `up` ask for them; a door is opened once."""
    requests = batch_door(f"old-{uuid4().hex[:8]}").requests
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics([replace(requests, retention=WORK_RETENTION, broker_time=False)])
        declared = [topic for topic in await admin.doors() if topic.name == requests.name]
        assert declared == [requests]
        assert (await admin.ensure_topics(declared)).updated == (requests.name,)
        assert (await admin.ensure_topics(declared)).updated == ()
    await delete(kafka, [requests.name])
