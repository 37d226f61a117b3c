"""Wires a processor process together: what `processors/*/__main__.py` calls."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import uvloop

from schemas.codec import Codec
from schemas.errors import GatewayError
from schemas.topics import JOB_CONTROL, SCHEMAS
from streams.collector import settle_collector
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import Publisher, Subscriber
from streams.log.schema_reader import SchemaReader
from streams.logs import configure_logging, get_logger
from streams.metrics_server import UNAVAILABLE, Health, start_metrics_server
from streams.runtime.cancelled_jobs import CancelledJobs
from streams.runtime.children import ChildPool
from streams.runtime.handling import Tools
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.processor import Processor
from streams.runtime.watchdog import EXIT_STALLED, LoopWatch, StalledError, watch_consumer
from streams.runtime.worker import Worker, group_of
from streams.serving import Lack, announcing
from streams.settings import Settings
from streams.spans import exporting
from streams.storage.store import open_blob_store

log = get_logger(__name__)

_HEALTH_S = 0.25


def _same(lack: Lack) -> Lack | None:
    return lack


Prepare = Callable[[AsyncExitStack], Awaitable[None]]


def run(
    *processors: Processor,
    settings: Settings,
    name: str,
    preload: Sequence[str] = (),
    prepare: Prepare | None = None,
    absent: Mapping[str, Lack] | None = None,
) -> None:
    """Serve the processors until SIGTERM or SIGINT, then exit: 0 after a drain, otherwise not 0.

    `name` is what logs call the process; `preload` names modules that each child process imports first;
    `prepare` makes inside the event loop what handlers need, before the first request; `absent` tells of
    kinds that this process would serve if it had what they need.
    """
    configure_logging(settings.log_level, settings.called(name))
    settle_collector()
    try:
        with exporting(settings, name):
            uvloop.run(serve(processors, settings, preload, prepare, absent))
    except* StalledError as stalled:
        log.error("process.leaves", reason=str(stalled.exceptions[0]))
        sys.exit(EXIT_STALLED)
    except* GatewayError as failed:
        log.error("process.leaves", reason=str(failed.exceptions[0]))
        sys.exit(1)


async def serve(
    processors: Sequence[Processor],
    settings: Settings,
    preload: Sequence[str],
    prepare: Prepare | None = None,
    absent: Mapping[str, Lack] | None = None,
) -> None:
    """Serve until a signal asks to stop."""
    health = Health()
    loop = asyncio.get_running_loop()
    watch = LoopWatch(loop)
    watch.start()
    server = start_metrics_server(settings.metrics_port, health, host=settings.metrics_host)
    try:
        async with AsyncExitStack() as stack:
            tools = await _tools(stack, settings, preload, processors)
            if prepare is not None:
                await prepare(stack)
            lacks: dict[str, Callable[[], Lack | None]] = {
                kind: partial(_same, lack) for kind, lack in (absent or {}).items()
            }
            for processor in processors:
                kind = processor.topics.kind
                lacks[kind] = processor.lacks
                lacks |= {choice.of(kind): ask for choice, ask in processor.choice_lacks.items()}
            await stack.enter_async_context(announcing(settings, lacks))
            workers: list[Worker] = []
            async with asyncio.TaskGroup() as group:
                watchers: list[asyncio.Task[None]] = []
                serving: list[asyncio.Task[None]] = []
                for processor in processors:
                    topics = [topic.name for topic in processor.topics.requests.values()]
                    subscriber = KafkaSubscriber(settings.kafka_bootstrap, group_of(processor), topics)
                    worker = Worker(processor, subscriber, tools)
                    workers.append(worker)
                    serving.append(group.create_task(worker.run()))
                    watchers.append(group.create_task(_watch(health, worker, subscriber, tools.publisher)))
                watchers.append(group.create_task(_tell(health, workers)))
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, _stop, health, workers)
                await asyncio.wait(serving)
                for watcher in watchers:
                    watcher.cancel()
    finally:
        health.set_unavailable("stopped")
        server.close()
        watch.close()


async def _tools(
    stack: AsyncExitStack, settings: Settings, preload: Sequence[str], processors: Sequence[Processor]
) -> Tools:
    bootstrap, codec = settings.kafka_bootstrap, Codec()
    publisher = await stack.enter_async_context(KafkaPublisher(bootstrap, codec=codec))
    decoder = await stack.enter_async_context(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec, publisher))
    cancelled = await stack.enter_async_context(
        CancelledJobs(KafkaTail(bootstrap, JOB_CONTROL.name), decoder, publisher)
    )
    children = await stack.enter_async_context(ChildPool(settings.workers or None, preload=preload))
    pools = {
        name: await stack.enter_async_context(ChildPool(spec.size, preload=preload, python=spec.python))
        for processor in processors
        for name, spec in processor.pools.items()
    }
    return Tools(publisher, open_blob_store(settings.blob_url), children, codec, decoder, cancelled, pools)


def _stop(health: Health, workers: Sequence[Worker]) -> None:
    log.info("process.stops")
    health.set_unavailable("stopping")
    for worker in workers:
        worker.stop()


async def _watch(health: Health, worker: Worker, subscriber: Subscriber, publisher: Publisher) -> None:
    """Watch a worker's progress; where there is none, the process is told to be unavailable before it drains."""
    try:
        await watch_consumer(worker, subscriber, publisher)
    except StalledError as stalled:
        health.set_unavailable(stalled.message)
        raise


async def _tell(health: Health, workers: Sequence[Worker]) -> None:
    """Keep the readiness as the workers have it; whatever ends this, the process is not ready any more."""
    try:
        await _keep_told(health, workers)
    finally:
        if health.state != UNAVAILABLE:
            health.set_unavailable("stopping")


async def _keep_told(health: Health, workers: Sequence[Worker]) -> None:
    while not any(worker.stopping for worker in workers):
        reasons = [f"{worker.kind}: {worker.unavailable}" for worker in workers if worker.unavailable]
        if not reasons:
            health.set_ready()
        elif all(worker.joined.is_set() for worker in workers):
            health.set_unavailable("; ".join(reasons))
        else:
            health.set_starting("; ".join(reasons))
        await asyncio.sleep(_HEALTH_S)
