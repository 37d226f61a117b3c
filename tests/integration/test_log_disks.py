"""How full Kafka's disks are, as a real broker tells it."""

from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client import REGISTRY

from streams.log.bootstrap import client_options
from streams.redis_client import redis_client
from streams.watch.log_disks import LogDisk, disk_in, log_disks
from streams.watch.surroundings import Surroundings
from tests.waiting import WaitUntil

NOBODY = 99


@pytest.mark.kafka
async def test_a_broker_tells_of_its_disk_and_one_that_is_not_there_of_none(kafka: str) -> None:
    client = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=2_000)
    await client.start()
    try:
        (disk,) = await log_disks(client, [1, NOBODY])
    finally:
        await client.close()
    assert disk.broker == "1"
    assert 0 < disk.free < disk.size


@pytest.mark.kafka
async def test_it_is_a_metric(kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil) -> None:
    def told(name: str) -> float:
        return REGISTRY.get_sample_value(name, {"broker": "1"}) or 0

    redis = redis_client(redis_url)
    async with Surroundings(kafka, redis, tmp_path, every_s=0.1):
        await wait_until(lambda: told("gateway_log_disk_size_bytes"))
    await redis.aclose()
    assert 0 < told("gateway_log_disk_free_bytes") < told("gateway_log_disk_size_bytes")


def test_the_fullest_folder_counts_and_one_that_does_not_tell_is_passed_over() -> None:
    folders = [{"usable_bytes": u, "total_bytes": t} for u, t in ((50, 100), (30, 100), (200, 1000), (-1, -1))]
    assert disk_in(2, {"folders": folders}) == LogDisk("2", 200, 1000)
    assert disk_in(2, {"folders": folders[3:]}) is None
