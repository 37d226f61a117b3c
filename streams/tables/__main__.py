"""Runs the job-state process: `python -m streams.tables`."""

import asyncio
from contextlib import AsyncExitStack

from schemas.codec import Codec
from schemas.topics import SCHEMAS
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.schema_reader import SchemaReader
from streams.metrics_server import Health
from streams.redis_client import redis_client
from streams.settings import Settings
from streams.tables.job_state_app import JobStateApp
from streams.tables.log_ends import KafkaLogEnds
from streams.tables.redis_view import RedisView
from streams.tables.serving import serve_table


async def run(settings: Settings, health: Health, stop: asyncio.Event) -> str:
    """Serve until `stop`; returns why the process must be restarted, or an empty text."""
    codec = Codec()
    async with AsyncExitStack() as stack:
        redis = redis_client(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        publisher = await stack.enter_async_context(KafkaPublisher(settings.kafka_bootstrap, codec=codec))
        schemas = await stack.enter_async_context(
            SchemaReader(KafkaTail(settings.kafka_bootstrap, SCHEMAS.name), codec, publisher)
        )
        ends = KafkaLogEnds(settings.kafka_bootstrap)
        stack.push_async_callback(ends.stop)
        app = JobStateApp(settings, codec, schemas, publisher, RedisView(redis), ends, health)
        return await app.run(stop)


def main() -> None:
    """Start from the environment."""
    serve_table("job-state", run)


if __name__ == "__main__":
    main()
