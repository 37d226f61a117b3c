"""Runs the metering process: `python -m streams.metering`."""

import asyncio
from contextlib import AsyncExitStack, suppress

from schemas.codec import Codec
from schemas.errors import Outage
from schemas.topics import API_KEYS, LEDGER_TABLE_CHANGELOG, SCHEMAS, SERVICES, USAGE_EVENTS
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import Publisher
from streams.log.schema_reader import SchemaReader
from streams.logs import get_logger, places_of
from streams.metering.ledger import GROUP, Ledger
from streams.metering.orphans import HeldLedger, OrphanCloser
from streams.metering.price_file import BudgetPrices
from streams.metering.rows import UsageRows
from streams.metering.rows_view import RowsKeeper, RowsView
from streams.metering.services import KnownServices
from streams.metrics_server import Health
from streams.quota.reconcile import Reconciler
from streams.quota.replicas import replicas
from streams.redis_client import REDIS_FAILURES, redis_client
from streams.replay.hosting import host_replays
from streams.services import Services
from streams.settings import Settings
from streams.storage.collecting import host_collector
from streams.tables.job_reader import JobReader
from streams.tables.job_table import JobTableApp, TableSpec
from streams.tables.log_ends import KafkaLogEnds, LogEnds
from streams.tables.positions import GroupPositions
from streams.tables.serving import serve_table, unless_stopped
from streams.tables.table_process import TableProcess
from streams.tasks import background, end_tasks

log = get_logger(__name__)

_RECONCILE_S = 1.0

# A tenth of a second later in the report, and a tenth of the work when calls come one by one.
TABLE = TableSpec(GROUP, "ledger", LEDGER_TABLE_CHANGELOG, (USAGE_EVENTS,), gather_s=0.1)


class MeteringApp:
    """Everything of the metering process that is put together from settings and connections."""

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        schemas: SchemaReader,
        publisher: Publisher,
        services: KnownServices,
        view: RowsView,
        ends: LogEnds,
        health: Health,
    ) -> None:
        topics = tuple(topic.name for topic in TABLE.topics)
        data_dir = settings.data_dir / "faust" / (settings.instance or GROUP)
        data_dir.mkdir(parents=True, exist_ok=True)
        table = JobTableApp(
            settings.kafka_bootstrap,
            data_dir,
            lambda messages: self._process.batch(messages),
            lambda partition, key, present: self._ledger.recovered(partition, key, present),
            TABLE,
        )
        rows = UsageRows()
        prices = BudgetPrices(settings.models_file)
        self._ledger = Ledger(table.store, codec, schemas, services, rows, prices)
        keeper = RowsKeeper(view, rows, GroupPositions(settings.kafka_bootstrap, GROUP, topics))
        self._keeper = keeper
        self._process = TableProcess(table, self._ledger, keeper, publisher, health, topics, ends)

    def settled(self, request_id: str) -> bool | None:
        """Tell whether a request has ended in the ledger; None when its partition is another process's."""
        return self._ledger.settled(request_id)

    def folded(self) -> dict[int, int]:
        """Return the offset of `usage.events` up to which each partition held here is in the ledger."""
        return {partition: offsets.events for partition, offsets in self._keeper.folded.items()}

    async def run(self, stop: asyncio.Event) -> str:
        """Work until `stop` is set; returns why the process must be restarted, or an empty text."""
        return await self._process.run(stop)


async def run(settings: Settings, health: Health, stop: asyncio.Event) -> str:
    """Serve until `stop`; returns why the process must be restarted, or an empty text."""
    codec, bootstrap = Codec(), settings.kafka_bootstrap
    async with AsyncExitStack() as stack:
        redis = redis_client(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        publisher = await stack.enter_async_context(KafkaPublisher(bootstrap, codec=codec))
        schemas = await stack.enter_async_context(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec, publisher))
        settings_view = Services(KafkaTail(bootstrap, SERVICES.name), schemas, publisher)
        services = KnownServices(KafkaTail(bootstrap, API_KEYS.name), schemas, publisher, settings_view)
        await stack.enter_async_context(services)
        health.set_starting("reading the services")
        if not await unless_stopped(services.caught_up(), stop):
            return ""
        ends = KafkaLogEnds(bootstrap, tuple(topic.name for topic in TABLE.topics))
        stack.push_async_callback(ends.stop)
        app = MeteringApp(settings, codec, schemas, publisher, services, RowsView(redis), ends, health)
        ledger, job_ends = HeldLedger(app.folded, app.settled), KafkaLogEnds(bootstrap)
        stack.push_async_callback(job_ends.stop)
        reconciler = Reconciler(redis, ledger, ends, JobReader(redis, job_ends))
        reconciling = background(_reconcile(reconciler, settings_view), "reconcile")
        closer = OrphanCloser(bootstrap, schemas, publisher, ledger, settings.orphan_seconds, lambda: replicas(redis))
        closing = background(closer.run(), "orphans")
        # Here, because nobody waits for this process: planning a replay keeps a core busy for seconds.
        replaying = background(host_replays(settings, codec, schemas, publisher, stop), "replays")
        collecting = background(host_collector(settings, redis, settings_view, stop), "blobs")
        try:
            return await app.run(stop)
        finally:
            await end_tasks(reconciling, closing, replaying, collecting)


async def _reconcile(reconciler: Reconciler, services: Services) -> None:
    while True:
        limited = [s.service for s in services.all() if any(a.quotas.limited for a in (s.allowance, *s.keys.values()))]
        try:
            with suppress(*REDIS_FAILURES, Outage):
                closed = await reconciler.turn(limited)
                if closed:
                    log.info("quota.closed", reservations=closed)
        except Exception as e:  # a fault of ours in one turn must not be the end of all to come
            log.error("quota.not_reconciled", error=type(e).__name__, places=places_of(e))
        await asyncio.sleep(_RECONCILE_S)


def main() -> None:
    """Start from the environment."""
    serve_table(GROUP, run)


if __name__ == "__main__":
    main()
