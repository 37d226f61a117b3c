"""Runs the job-state process: `python -m streams.tables`."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack

import uvloop

from schemas.codec import Codec
from schemas.topics import SCHEMAS
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.schema_reader import SchemaReader
from streams.logs import configure_logging, get_logger
from streams.metrics_server import Health, start_metrics_server
from streams.redis_client import redis_client
from streams.settings import Settings
from streams.tables.job_state_app import JobStateApp
from streams.tables.redis_view import RedisView

log = get_logger(__name__)


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
        app = JobStateApp(settings, codec, schemas, publisher, RedisView(redis), health)
        return await app.run(stop)


async def _main(settings: Settings) -> int:
    health, stop = Health(), asyncio.Event()
    server = start_metrics_server(settings.metrics_port, health, host=settings.metrics_host)
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    log.info("job_state.starting", metrics_port=server.port)
    try:
        failure = await run(settings, health, stop)
    finally:
        server.close()
    return 1 if failure else 0


def main() -> None:
    """Start from the environment."""
    settings = Settings.from_env(os.environ)
    configure_logging(settings.log_level, settings.instance or "job-state")
    # As the policy, so that the thread in which Faust keeps its consumer has a fast loop too.
    uvloop.install()
    sys.exit(asyncio.run(_main(settings)))


if __name__ == "__main__":
    main()
