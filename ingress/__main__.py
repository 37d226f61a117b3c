"""Runs ingress: `python -m ingress`. The only place where its real dependencies meet."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from uuid import uuid4

import uvicorn
import uvloop

from ingress.app import create_app
from ingress.auth import KeyRing
from ingress.chat.door import open_chat_door
from ingress.dependencies import Dependencies
from ingress.price_file import PriceFile
from ingress.readiness import Readiness, essential_checks, follow_readiness
from schemas.codec import Codec
from schemas.events import ApiKey
from schemas.topics import API_KEYS, MODULES, PURGES, REPLAYS, SCHEMAS, SERVICES, USAGE_EVENTS
from streams.claims import Claims
from streams.collector import settle_collector
from streams.log.compacted_view import CompactedView
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.schema_reader import SchemaReader
from streams.log.schema_registry import in_either_framing
from streams.logs import configure_logging, get_logger
from streams.metering.log_times import LogTimes
from streams.metering.reader import UsageReader
from streams.metrics_server import Health, start_metrics_server
from streams.module_registry import ModuleRegistry
from streams.purge.purged import PurgedJobs
from streams.purge.purging import Purger, PurgeTools
from streams.quota.quotas import Quotas
from streams.redis_client import redis_client
from streams.replay.comparisons import Comparisons
from streams.replay.view import Replays
from streams.services import Services
from streams.serving import ServingView
from streams.settings import Settings
from streams.spans import exporting
from streams.storage.checkpoints import open_checkpoints
from streams.storage.store import open_blob_keeping, open_blob_store
from streams.tables.job_reader import JobReader
from streams.tables.log_ends import KafkaLogEnds
from streams.tables.notifications import Notifications
from streams.tasks import background
from streams.watch.certificates import Certificates
from streams.watch.surroundings import Surroundings

log = get_logger(__name__)

# A submit makes two publications in a row; both have failed before a caller's usual patience (30 s) is over.
DELIVERY_TIMEOUT_S = 5.0
CLEAN_UP_S = 10
# Calls that are broken off give their upstreams a second to hear it, and tell the ledger then.
BREAKING_OFF_S = 2.0
# With Kafka down the port opens all the same, so that callers are told why.
_OPEN_AFTER_S = 10
_LOOK_S = 0.05
KEEP_ALIVE_S = 75
"""Longer than clients and proxies keep an idle connection: whoever closes first must not be the one that may be asked
at the same moment."""


class _Server(uvicorn.Server):
    """Ends on SIGTERM and SIGINT with exit code 0, and tells the open streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take the signals on the loop; uvicorn's own way raises them again at the end, which kills us."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then wait for the requests that are being answered, those that are broken off included."""
        self._closing.set()
        await super().shutdown(sockets)
        broken_off = tuple(self.server_state.tasks)  # uvicorn cancels them, and waits no more
        if broken_off and not self.force_exit:
            await asyncio.wait(broken_off, timeout=BREAKING_OFF_S)


@asynccontextmanager
async def bounded_stack() -> AsyncGenerator[AsyncExitStack]:
    """Give a stack whose clean-up takes `CLEAN_UP_S` at most: a dependency that is down must not keep us."""
    stack = AsyncExitStack()
    try:
        yield stack
    finally:
        try:
            async with asyncio.timeout(CLEAN_UP_S):
                await stack.aclose()
        except TimeoutError:
            log.warning("ingress.clean_up_given_up", after_s=CLEAN_UP_S)


async def connect(settings: Settings, stack: AsyncExitStack, env: Mapping[str, str] | None = None) -> Dependencies:
    """Make the dependencies; none of them has to be up for that. `env` holds the model servers' keys."""
    codec, replica = Codec(), uuid4().hex
    bootstrap = settings.kafka_bootstrap
    redis = redis_client(settings.redis_url)
    stack.push_async_callback(redis.aclose)
    publisher = await stack.enter_async_context(
        KafkaPublisher(bootstrap, codec=codec, delivery_timeout_s=DELIVERY_TIMEOUT_S)
    )
    schemas = await stack.enter_async_context(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec, publisher))
    keys = await stack.enter_async_context(
        KeyRing(CompactedView(KafkaTail(bootstrap, API_KEYS.name), ApiKey, schemas, publisher))
    )
    services = await stack.enter_async_context(Services(KafkaTail(bootstrap, SERVICES.name), schemas, publisher))
    quotas = await stack.enter_async_context(Quotas(redis, services, replica))
    modules = await stack.enter_async_context(
        ModuleRegistry(
            KafkaTail(bootstrap, MODULES.name), schemas, publisher, noop=settings.noop, folder=settings.modules_dir
        )
    )
    replays = await stack.enter_async_context(Replays(KafkaTail(bootstrap, REPLAYS.name), schemas, publisher))
    purged = await stack.enter_async_context(PurgedJobs(KafkaTail(bootstrap, PURGES.name), schemas, publisher))
    log_ends = KafkaLogEnds(bootstrap)
    stack.push_async_callback(log_ends.stop)
    usage_ends = KafkaLogEnds(bootstrap, (USAGE_EVENTS.name,))
    stack.push_async_callback(usage_ends.stop)
    reader = JobReader(redis, log_ends)
    notifications = Notifications(redis, reader)
    await notifications.start()
    stack.push_async_callback(notifications.stop)
    blobs = open_blob_store(settings.blob_url)
    # A purge looks at what waits in a batch door, whose records may have either framing.
    any_framing = await stack.enter_async_context(in_either_framing(schemas, settings.schema_registry_url))
    chat = await stack.enter_async_context(
        open_chat_door(settings, publisher, blobs, redis, env or {}, services.get, replica)
    )
    return Dependencies(
        settings=settings,
        publisher=publisher,
        blobs=blobs,
        keys=keys,
        modules=modules,
        jobs=reader,
        claims=Claims(redis),
        notifications=notifications,
        usage=UsageReader(redis, usage_ends, LogTimes(bootstrap)),
        prices=PriceFile(settings.models_file),
        chat=chat,
        services=services,
        quotas=quotas,
        serving=await stack.enter_async_context(ServingView(redis)),
        replays=replays,
        purged=purged,
        purger=Purger(
            PurgeTools(
                bootstrap,
                publisher,
                codec,
                any_framing,
                reader,
                blobs,
                open_blob_keeping(settings.blob_url),
                open_checkpoints(settings.blob_url),
            )
        ),
        comparisons=await stack.enter_async_context(Comparisons(bootstrap, blobs, purged)),
    )


async def serve(settings: Settings, health: Health) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with bounded_stack() as stack:
        dependencies = await connect(settings, stack, os.environ)
        watched = redis_client(settings.redis_url)
        stack.push_async_callback(watched.aclose)
        await stack.enter_async_context(Surroundings(settings.kafka_bootstrap, watched, settings.data_dir))
        await stack.enter_async_context(Certificates(settings.tls_listeners))
        following = background(follow_readiness(dependencies, health), "readiness")
        stack.callback(following.cancel)
        await _until_serving(dependencies)
        config = uvicorn.Config(
            create_app(dependencies),
            host=settings.http_host,
            port=settings.http_port,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            # Streams of jobs end at once; what is left are uploads and models' answers.
            timeout_graceful_shutdown=settings.drain_seconds,
        )
        await _Server(config, dependencies.closing).serve()


async def _until_serving(dependencies: Dependencies) -> None:
    """Wait a little until jobs can be taken: a proxy sends requests as soon as the port is open."""
    until = asyncio.get_running_loop().time() + _OPEN_AFTER_S
    while asyncio.get_running_loop().time() < until:
        if Readiness(essential_checks(dependencies)).serves:
            return
        await asyncio.sleep(_LOOK_S)


def main() -> None:
    """Start from the environment."""
    settings = Settings.from_env(os.environ)
    configure_logging(settings.log_level, settings.called("ingress"))
    settle_collector()
    health = Health()
    server = start_metrics_server(settings.metrics_port, health, host=settings.metrics_host)
    log.info("ingress.starting", http_port=settings.http_port, metrics_port=server.port)
    try:
        with exporting(settings, "ingress"):
            uvloop.run(serve(settings, health))
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
