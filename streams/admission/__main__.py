"""Runs the admission process: `python -m streams.admission`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

from aiokafka.errors import KafkaError

from schemas.avro_files import latest_schema
from schemas.batch import BatchAnswer, BatchEntry, BatchNotes, BatchRejection, BatchRequest
from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import JobEvent, SchemaRecord, StageRequest
from schemas.topics import MODULES, SCHEMAS, SERVICES
from streams.admission.answers import Answerer
from streams.admission.checks import Checker
from streams.admission.doors import DoorReader
from streams.admission.entries import EntryMaker
from streams.admission.pace import Pace
from streams.admission.reservations import Reserver
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import Publisher
from streams.log.schema_reader import SchemaReader
from streams.log.schema_registry import in_either_framing
from streams.logs import get_logger
from streams.metering.price_file import BudgetPrices
from streams.metrics_server import Health
from streams.module_registry import ModuleRegistry
from streams.quota.quotas import Quotas
from streams.redis_client import redis_client
from streams.services import Services
from streams.settings import Settings
from streams.storage.store import open_blob_store
from streams.tables.serving import serve_table
from streams.tasks import end_tasks

log = get_logger(__name__)

_AGAIN_S = 0.5
_WRITTEN = (SchemaRecord, BatchRequest, BatchEntry, StageRequest, JobEvent, BatchAnswer, BatchRejection, BatchNotes)


async def run(settings: Settings, health: Health, stop: asyncio.Event) -> str:
    """Serve until `stop`; returns why the process must be restarted, or an empty text."""
    codec, bootstrap = Codec(), settings.kafka_bootstrap
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(KafkaPublisher(bootstrap, codec=codec))
        schemas = await stack.enter_async_context(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec, publisher))
        services = await stack.enter_async_context(Services(KafkaTail(bootstrap, SERVICES.name), schemas, publisher))
        modules = await stack.enter_async_context(
            ModuleRegistry(
                KafkaTail(bootstrap, MODULES.name), schemas, publisher, noop=settings.noop, folder=settings.modules_dir
            )
        )
        checker = Checker(modules, open_blob_store(settings.blob_url), settings.max_upload_bytes)
        redis = redis_client(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        quotas = await stack.enter_async_context(Quotas(redis, services, uuid4().hex))
        reserver = Reserver(quotas, BudgetPrices(settings.models_file))
        requests = await stack.enter_async_context(in_either_framing(schemas, settings.schema_registry_url))
        doors = DoorReader(bootstrap, codec, EntryMaker(requests, checker), services, reserver)
        answerer = Answerer(bootstrap, codec, schemas, lambda: doors.topics, Pace(redis, doors.has_many), reserver)
        health.set_starting("reading the services and the modules")
        await _patiently(lambda _: _announce(publisher), stop, once=True)
        await _patiently(lambda _: services.caught_up(), stop, once=True)
        await _patiently(lambda _: modules.caught_up(), stop, once=True)
        working = [
            asyncio.create_task(_patiently(doors.run, stop), name="doors"),
            asyncio.create_task(_patiently(answerer.run, stop), name="answers"),
            asyncio.create_task(_tell(health, doors, answerer), name="readiness"),
        ]
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait((*working, stopping), return_when=asyncio.FIRST_COMPLETED)
        failed = next((t.exception() for t in done if t is not stopping and t.exception()), None)
        stop.set()
        health.set_unavailable("stopping")
        await end_tasks(working.pop(), stopping)
        await asyncio.gather(*working, return_exceptions=True)
        if failed is not None:
            log.error("admission.failed", reason=type(failed).__name__, detail=str(failed)[:300])
        return "" if failed is None else type(failed).__name__


async def _announce(publisher: Publisher) -> None:
    """Put the schemas of everything that is written here on `schemas`, acknowledged, before the first use."""
    for kind in _WRITTEN:
        schema = latest_schema(kind.__name__)
        record = SchemaRecord(schema.fingerprint, schema.name, schema.source)
        await publisher.publish(SCHEMAS, schema.fingerprint, record)


async def _patiently(
    work: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event, *, once: bool = False
) -> None:
    """Do the work again whenever the log (or the blob store) fails it: it begins from what was committed."""
    while not stop.is_set():
        try:
            await work(stop)
            if once:
                return
        except (KafkaError, OSError, TimeoutError, Outage) as e:
            log.warning("admission.again", reason=type(e).__name__, detail=str(e)[:200])
            await asyncio.sleep(_AGAIN_S)


async def _tell(health: Health, doors: DoorReader, answerer: Answerer) -> None:
    while True:
        if answerer.ready and doors.topics:
            health.set_ready()
        else:
            health.set_starting("joining the consumer groups")
        await asyncio.sleep(0.25)


def main() -> None:
    """Start from the environment."""
    serve_table("admission", run)


if __name__ == "__main__":
    main()
