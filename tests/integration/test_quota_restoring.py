"""Reservations of jobs whose process is gone, after Redis was emptied: they come back from what is on the log."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind, JobRef, JobResult, Step
from schemas.ids import event_id
from schemas.job_state import JobState, fold
from schemas.payloads import BlobRef, Payload
from schemas.quotas import Ask, Estimate
from schemas.services import Allowance, ServiceSettings
from schemas.services import Quotas as Limits
from schemas.topics import SERVICES
from streams import redis_keys
from streams.log.memory import MemoryLog, MemoryPublisher, MemoryTail
from streams.log.schema_reader import CodecDecoder
from streams.metering.price_file import BudgetPrices
from streams.quota.quotas import Quotas
from streams.quota.restoring import AFTER_MS, Restorer
from streams.redis_keys import NOTHING_FOLDED, Offsets
from streams.services import Services
from tests.builders import job_ref, now_ms
from tests.integration.ingress_harness import own_database
from tests.waiting import WaitUntil

CODEC = Codec()
STEPS = (Step("ocr", "ocr"),)
PDF_OF_4 = Payload(media_type="application/pdf", blob=BlobRef("s", "0" * 64, 450_001, "application/pdf"))
PAGES, PARTITION = 4, 3


class Table:
    """The table of jobs of one partition, and how far it and its log are."""

    def __init__(self) -> None:
        self.states: dict[bytes, JobState] = {}
        self.end = 0
        self.through = Offsets(0, 0)

    def accept(self, job: JobRef) -> JobRef:
        """Fold a job's acceptance."""
        made = event_id(job.job_id, 0, JobEventKind.ACCEPTED)
        self._fold(job, JobEvent(made, job, JobEventKind.ACCEPTED, STEPS, job.created_at_ms, inputs=(PDF_OF_4,)))
        return job

    def end_of(self, job: JobRef) -> None:
        """Fold a job's end."""
        self._fold(job, JobResult(f"{job.job_id}:0:result", job, "done", STEPS, finished_at_ms=now_ms()))

    def _fold(self, job: JobRef, record: JobEvent | JobResult) -> None:
        self.end += 1
        key = job.job_id.encode()
        self.states[key] = fold(self.states.get(key), record, self.end)
        self.through = Offsets(self.end, 0)

    def keys(self, partition: int) -> tuple[bytes, ...]:
        return tuple(self.states) if partition == PARTITION else ()

    def peek(self, key: bytes) -> JobState | None:
        return self.states.get(key)

    def folded(self) -> dict[int, Offsets]:
        return {PARTITION: self.through}

    async def ends(self, partition: int) -> Offsets:
        return Offsets(self.end, 0)

    async def all_ends(self, partitions: Sequence[int]) -> dict[int, Offsets]:
        return {p: await self.ends(p) for p in partitions}

    async def begins(self, partition: int) -> Offsets:
        return Offsets(0, 0)


class Setting:
    """A Redis, services of which one is limited, and job-state."""

    def __init__(self, redis: Redis, services: Services, folder: Path) -> None:
        self.redis, self.services, self.table = redis, services, Table()
        prices = BudgetPrices(folder / "models.yml")
        self.restorer = Restorer(redis, self.table, self.table.folded, self.table, services, prices)

    async def sum(self, measure: str) -> int:
        return int(await self.redis.hget(redis_keys.quota_sums("s"), f"|{measure}") or 0)

    async def grown(self) -> None:
        """Make the counters as old as they are when the replicas have added what they hold."""
        await self.redis.hset(redis_keys.QUOTA_STATE, "born", now_ms() - AFTER_MS - 1_000)

    async def begin_anew(self) -> None:
        """Empty Redis; a replica that holds nothing is in touch."""
        await self.redis.flushdb()
        await Quotas(self.redis, self.services, "b")._in_touch()
        await self.grown()


@pytest.fixture
async def setting(redis_url: str, tmp_path: Path) -> AsyncIterator[Setting]:
    redis = Redis.from_url(own_database(redis_url, 9), socket_connect_timeout=60, socket_timeout=60)
    await redis.flushdb()
    log = MemoryLog()
    publisher = MemoryPublisher(log, CODEC)
    limits = Limits(concurrent_jobs=50)
    await publisher.publish(SERVICES, "s", ServiceSettings("s", allowance=Allowance(quotas=limits)))
    async with AsyncExitStack() as stack:
        services = Services(MemoryTail(log, SERVICES.name), CodecDecoder(CODEC), None)
        await stack.enter_async_context(services)
        await services.caught_up()
        yield Setting(redis, services, tmp_path)
    await redis.aclose()


async def test_open_jobs_count_again_though_nobody_is_left_who_reserved_for_them(setting: Setting) -> None:
    """A deployment, and then a loss of Redis: the second budget would be there at once."""
    jobs = [setting.table.accept(job_ref(service="s")) for _ in range(3)]
    setting.table.accept(job_ref(service="without-limits"))
    async with Quotas(setting.redis, setting.services, "a") as first:
        for job in jobs:
            await first.reserve(Ask(job.job_id, "s", job.key_id, "ocr", Estimate(pages=PAGES)))
    setting.table.end_of(jobs[0])
    await setting.begin_anew()
    assert await setting.sum("jobs") == 0
    assert await setting.restorer.turn() == 2
    assert (await setting.sum("jobs"), await setting.sum("pages")) == (2, 2 * PAGES)
    assert await setting.restorer.turn() == 0
    entry = await setting.redis.hget(redis_keys.quota_open("s"), jobs[1].job_id)
    assert entry is not None
    assert float(entry.split()[6]) > now_ms()


async def test_what_a_replica_has_added_again_is_left_as_it_is(setting: Setting, wait_until: WaitUntil) -> None:
    job = setting.table.accept(job_ref(service="s"))
    await setting.begin_anew()
    async with Quotas(setting.redis, setting.services, "a") as replica:
        await replica.reserve(Ask(job.job_id, "s", job.key_id, "ocr", Estimate(pages=7)))

        async def is_there() -> bool:
            return await setting.sum("pages") == 7

        await wait_until(is_there)
        assert await setting.restorer.turn() == 0
        assert await is_there()


async def test_nothing_is_added_before_the_replicas_had_their_turn_and_the_table_is_whole(setting: Setting) -> None:
    setting.table.accept(job_ref(service="s"))
    await setting.begin_anew()
    await setting.redis.hset(redis_keys.QUOTA_STATE, "born", now_ms())
    assert await setting.restorer.turn() == 0
    await setting.grown()
    setting.table.end += 1  # a job whose acceptance is on the log and not in the table yet
    assert await setting.restorer.turn() == 0
    setting.table.through = NOTHING_FOLDED
    assert await setting.restorer.turn() == 0
    setting.table.accept(job_ref(service="s"))
    setting.table.through = Offsets(setting.table.end, 0)
    assert await setting.restorer.turn() == 2


async def test_counters_are_no_figures_while_many_jobs_are_added(setting: Setting) -> None:
    for _ in range(450):
        setting.table.accept(job_ref(service="s"))
    await setting.begin_anew()
    assert await setting.restorer.turn() == 450
    until = await setting.redis.hget(redis_keys.QUOTA_STATE, "restoring")
    assert until is not None
    async with Quotas(setting.redis, setting.services, "a") as replica:
        held = await replica.reserve(Ask("one", "s", "k1", "ocr", Estimate(pages=1)))
        assert held is not None  # its share, though the counters say that nothing is left
        assert held.ask.request_id in replica._unrecorded


async def test_what_was_adopted_is_added_again_and_forgotten_once_it_is_settled(
    setting: Setting, wait_until: WaitUntil
) -> None:
    """As admission does with the requests that wait in its log."""
    ask = Ask("waits", "s", "k1", "ocr", Estimate(pages=PAGES))
    async with Quotas(setting.redis, setting.services, "a") as replica:
        for _ in range(2):
            replica.adopt(ask)
        replica.adopt(replace(ask, request_id="free", service="without-limits"))

        async def pages_are(amount: int) -> bool:
            return await setting.sum("pages") == amount

        await wait_until(lambda: pages_are(PAGES))
        assert not await setting.redis.hgetall(redis_keys.quota_minute("s", ""))
        await setting.redis.flushdb()
        await wait_until(lambda: pages_are(PAGES))
        await setting.redis.hdel(redis_keys.quota_open("s"), "waits")  # settled
        await wait_until(lambda: not replica._open)
