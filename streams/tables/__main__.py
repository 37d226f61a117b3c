"""Runs the job-state process: `python -m streams.tables`."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from schemas.codec import Codec
from schemas.retention import job_lifetime
from schemas.topics import SCHEMAS, SERVICES
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.schema_reader import SchemaReader
from streams.metering.price_file import BudgetPrices
from streams.metrics_server import Health
from streams.quota.restoring import Restorer
from streams.redis_client import redis_client
from streams.services import Services
from streams.settings import Settings
from streams.tables.job_state_app import JobStateApp
from streams.tables.log_ends import KafkaLogEnds
from streams.tables.redis_view import RedisView
from streams.tables.serving import serve_table, unless_stopped
from streams.tasks import background, end_tasks


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
        services = Services(KafkaTail(settings.kafka_bootstrap, SERVICES.name), schemas, publisher)
        await stack.enter_async_context(services)
        health.set_starting("reading the services")
        # Before any job is found to be expired: its service may keep its jobs for longer.
        if not await unless_stopped(services.caught_up(), stop):
            return ""
        job_ttl = timedelta(seconds=settings.job_ttl_seconds)

        def ttl_s(service: str) -> int:
            return int(job_lifetime(services.get(service), job_ttl).total_seconds())

        ends = KafkaLogEnds(settings.kafka_bootstrap)
        stack.push_async_callback(ends.stop)
        app = JobStateApp(settings, codec, schemas, publisher, RedisView(redis), ends, health, ttl_s)
        restorer = Restorer(redis, app.states, app.folded, ends, services, BudgetPrices(settings.models_file))
        restoring = background(restorer.run(), "reservations")
        try:
            return await app.run(stop)
        finally:
            await end_tasks(restoring)


def main() -> None:
    """Start from the environment."""
    serve_table("job-state", run)


if __name__ == "__main__":
    main()
