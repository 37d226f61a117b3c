"""A metering process on a Redis of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from schemas.topics import USAGE_EVENTS
from streams.log.kafka_publisher import KafkaPublisher
from streams.metering.log_times import LogTimes
from streams.metering.reader import UsageReader
from streams.redis_client import redis_client
from streams.tables.log_ends import KafkaLogEnds
from tests.integration.metering.harness import Setting
from tests.integration.table_processes import OwnRedis, TableProcess
from tests.waiting import WaitUntil


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of prices that the process reads; at first there is none."""
    return tmp_path_factory.mktemp("models") / "models.yml"


@pytest.fixture(scope="module")
def process(
    kafka: str, own_redis: OwnRedis, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TableProcess]:
    env = {"GATEWAY_ORPHAN_SECONDS": "240", "GATEWAY_MODELS_FILE": str(models)}
    process = TableProcess("streams.metering", kafka, own_redis.url, tmp_path_factory.mktemp("metering"), **env)
    process.start()
    yield process
    assert process.end() == 0


@pytest.fixture
async def setting(
    kafka: str, own_redis: OwnRedis, process: TableProcess, wait_until: WaitUntil
) -> AsyncIterator[Setting]:
    await wait_until(process.ready, 120)
    redis, ends = redis_client(own_redis.url), KafkaLogEnds(kafka, (USAGE_EVENTS.name,))
    async with KafkaPublisher(kafka) as publisher:
        yield Setting(kafka, own_redis, process, publisher, UsageReader(redis, ends, LogTimes(kafka)))
    await ends.stop()
    await redis.aclose()
