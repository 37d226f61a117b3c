"""The job-state process, put together from settings and connections."""

import asyncio
import time

from schemas.codec import Codec
from streams.log.protocols import Decoder, Publisher
from streams.metrics import FLUSH_SECONDS
from streams.metrics_server import Health
from streams.redis_keys import Offsets
from streams.settings import Settings
from streams.stages import all_stages
from streams.tables.expiry import Ttl
from streams.tables.job_contents import JobContents
from streams.tables.job_states import JobStates
from streams.tables.job_table import GROUP, JOBS, JobTableApp
from streams.tables.log_ends import LogEnds
from streams.tables.log_expiry import LogExpiry
from streams.tables.positions import GroupPositions
from streams.tables.redis_view import RedisView
from streams.tables.table_process import TableProcess
from streams.tables.unreadable import UnreadableRequests
from streams.tables.view_keeper import ViewKeeper
from streams.tasks import background, end_tasks


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class JobStateApp:
    """Folds `job.events` and `results` into the table of jobs and shows them in Redis."""

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        decoder: Decoder,
        publisher: Publisher,
        view: RedisView,
        ends: LogEnds,
        health: Health,
        ttl_s: Ttl,
    ) -> None:
        data_dir = settings.data_dir / "faust" / (settings.instance or GROUP)
        data_dir.mkdir(parents=True, exist_ok=True)
        table = JobTableApp(
            settings.kafka_bootstrap,
            data_dir,
            lambda messages: self._process.batch(messages),
            lambda partition, key, present: self._contents.recovered(partition, key, present),
            JOBS,
        )

        def keeper_of(states: JobStates) -> ViewKeeper:
            positions = GroupPositions(settings.kafka_bootstrap, GROUP)
            return ViewKeeper(view, states, positions, ttl_s, now_ms)

        self._contents = JobContents(table.store, codec, decoder, keeper_of, ttl_s, now_ms)
        self._log_expiry = LogExpiry(settings.kafka_bootstrap, self._contents.states, publisher, all_stages, now_ms)
        self._unreadable = UnreadableRequests(
            settings.kafka_bootstrap, self._contents.states, publisher, all_stages, now_ms
        )
        self._process = TableProcess(
            table,
            self._contents,
            self._contents.keeper,
            publisher,
            health,
            tuple(topic.name for topic in JOBS.topics),
            ends,
            timed=lambda step, seconds: FLUSH_SECONDS.labels(step).observe(seconds),
        )

    @property
    def states(self) -> JobStates:
        """The jobs of this process."""
        return self._contents.states

    def folded(self) -> dict[int, Offsets]:
        """Return how far each partition held here is."""
        return self._contents.keeper.folded

    async def run(self, stop: asyncio.Event) -> str:
        """Work until `stop` is set; returns why the process must be restarted, or an empty text."""
        looking = (
            background(self._log_expiry.run(), "log-expiry"),
            background(self._unreadable.run(), "unreadable-requests"),
        )
        try:
            return await self._process.run(stop)
        finally:
            await end_tasks(*looking)
