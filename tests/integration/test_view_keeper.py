"""The keeper of the views on a real Redis: who may write, what is rebuilt, and that no job is seen to go back."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from redis.asyncio import Redis

from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import JobEvent, JobRef, JobResult, Step
from schemas.job_state import JobState, fold
from schemas.topics import JOB_PARTITIONS
from streams import redis_keys
from streams.redis_client import redis_client
from streams.redis_keys import NOTHING_FOLDED, Marker, Offsets, decode_marker
from streams.tables.expiry import Expiry
from streams.tables.job_reader import JobPage, JobReader, Missing, Unknown
from streams.tables.job_states import JobStates
from streams.tables.partitions import job_partition
from streams.tables.redis_view import Fenced, PartitionWrite, RedisView, ViewWrite
from streams.tables.view_json import decode_view
from streams.tables.view_keeper import ViewKeeper
from tests.builders import job_ref, now_ms

STEPS = (Step("noop", "noop"),)
TTL_S = 3_600
EVERY = frozenset(range(JOB_PARTITIONS))


class FixedLog:
    """A log that says what it is told to."""

    def __init__(self) -> None:
        self.following = self.end = Offsets(0, 0)

    async def read(self, partitions: Iterable[int]) -> dict[int, tuple[Offsets, Offsets]]:
        return dict.fromkeys(partitions, (self.following, self.end))

    async def ends(self, partition: int) -> Offsets:
        return self.end


class Worker:
    """A keeper with a table of its own."""

    def __init__(self, redis: Redis, log: FixedLog) -> None:
        self.states = JobStates({}, Codec())
        self.keeper = ViewKeeper(RedisView(redis), self.states, log, lambda _: TTL_S)

    async def fold(self, record: JobEvent | JobResult, offset: int, upto: Offsets) -> None:
        key = record.job.job_id.encode()
        partition = job_partition(record.job.job_id)
        state = fold(self.states.get(key), record, offset)
        self.states.put(partition, key, state)
        await self.keeper.publish({partition: {key: state}}, {partition: upto})


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = redis_client(redis_url.removesuffix("/0") + "/7")
    await client.flushdb()
    yield client
    await client.flushdb()
    await client.aclose()


@pytest.fixture
def log() -> FixedLog:
    return FixedLog()


def accepted(job: JobRef) -> JobEvent:
    return JobEvent("e", job, "accepted", STEPS, now_ms())


def done(job: JobRef, at_ms: int | None = None) -> JobResult:
    return JobResult("r", job, "done", STEPS, finished_at_ms=at_ms or now_ms())


async def status(redis: Redis, job: JobRef) -> str | None:
    raw = await redis.get(redis_keys.job(job.job_id))
    return decode_view(raw).document["status"] if raw else None


async def marker(redis: Redis, job: JobRef) -> Marker:
    found = decode_marker(await redis.get(redis_keys.marker(job_partition(job.job_id))))
    assert found is not None
    return found


async def test_an_empty_log_makes_a_miss_an_answer(redis: Redis, log: FixedLog) -> None:
    reader, job = JobReader(redis, log), job_ref()
    assert isinstance(await reader.get(job.job_id), Unknown)
    await Worker(redis, log).keeper.take_over(EVERY, 1)
    assert await reader.get(job.job_id) == Missing()
    assert await reader.list("mail-room") == JobPage((), None)


async def test_a_view_behind_the_log_is_no_answer(redis: Redis, log: FixedLog) -> None:
    worker, reader, job = Worker(redis, log), JobReader(redis, log), job_ref()
    await worker.keeper.take_over(EVERY, 1)
    log.end = Offsets(1, 0)
    assert isinstance(await reader.get(job.job_id), Unknown)
    await worker.fold(accepted(job), 0, Offsets(1, 0))
    assert await reader.get(job.job_id) not in (Missing(), Unknown)


async def test_only_ended_jobs_have_a_time_to_live(redis: Redis, log: FixedLog) -> None:
    worker, job = Worker(redis, log), job_ref()
    await worker.keeper.take_over(EVERY, 1)
    await worker.fold(accepted(job), 0, Offsets(1, 0))
    assert await redis.ttl(redis_keys.job(job.job_id)) == -1
    await worker.fold(done(job), 0, Offsets(1, 1))
    assert 0 < await redis.ttl(redis_keys.job(job.job_id)) <= TTL_S


async def test_who_lost_its_partition_cannot_write(redis: Redis, log: FixedLog) -> None:
    old, new, job = Worker(redis, log), Worker(redis, log), job_ref()
    await old.keeper.take_over(EVERY, 1)
    await old.fold(accepted(job), 0, Offsets(1, 0))
    log.following = Offsets(1, 0)
    log.end = Offsets(1, 0)
    new.states.put(job_partition(job.job_id), job.job_id.encode(), fold(None, accepted(job), 0))
    await new.keeper.take_over(EVERY, 2)
    await new.fold(done(job), 0, Offsets(1, 1))
    held = await marker(redis, job)
    await old.fold(JobEvent("s", job, "stage_started", STEPS, now_ms(), "noop", 1), 1, Offsets(2, 0))
    await old.keeper.check()
    assert await status(redis, job) == "done"
    assert await marker(redis, job) == held


async def test_a_successor_that_folds_again_shows_nothing_older(redis: Redis, log: FixedLog) -> None:
    old, new, job = Worker(redis, log), Worker(redis, log), job_ref()
    await old.keeper.take_over(EVERY, 1)
    await old.fold(accepted(job), 0, Offsets(1, 0))
    await old.fold(done(job), 0, Offsets(1, 1))
    # It died before anything of that was committed or in its changelog.
    log.end = Offsets(1, 1)
    await new.keeper.take_over(EVERY, 2)
    await new.fold(accepted(job), 0, Offsets(1, 0))
    assert await status(redis, job) == "done"
    assert (await marker(redis, job)).folded == Offsets(1, 1)
    await new.fold(done(job), 0, Offsets(1, 1))
    assert await status(redis, job) == "done"
    later = job_ref()
    await new.fold(accepted(later), 1, Offsets(2, 1))
    assert await status(redis, later) == "queued"


async def test_a_flush_is_noticed_with_the_next_batch_and_by_the_check(redis: Redis, log: FixedLog) -> None:
    worker, first, second = Worker(redis, log), job_ref(), job_ref()
    await worker.keeper.take_over(EVERY, 1)
    await worker.fold(accepted(first), 0, Offsets(1, 0))
    await redis.flushdb()
    await worker.keeper.check()
    assert await status(redis, first) == "queued"
    await redis.flushdb()
    await worker.fold(accepted(second), 1, Offsets(2, 0))
    assert await status(redis, second) == "queued"
    await worker.keeper.check()
    assert await status(redis, first) == "queued"


async def test_a_rebuild_that_was_interrupted_is_begun_again(redis: Redis, log: FixedLog) -> None:
    worker, job = Worker(redis, log), job_ref()
    await worker.keeper.take_over(EVERY, 1)
    await worker.fold(accepted(job), 0, Offsets(1, 0))
    held = await marker(redis, job)
    unfinished = Marker(held.generation, NOTHING_FOLDED)
    await redis.delete(redis_keys.job(job.job_id))
    await redis.set(redis_keys.marker(job_partition(job.job_id)), unfinished.encode())
    assert isinstance(await JobReader(redis, log).get(job.job_id), Unknown)
    await worker.keeper.check()
    assert await status(redis, job) == "queued"


async def test_markers_of_another_log_are_not_believed(redis: Redis, log: FixedLog) -> None:
    job = job_ref()
    await redis.set(redis_keys.marker(job_partition(job.job_id)), Marker("99.old", Offsets(500, 500)).encode())
    worker = Worker(redis, log)
    await worker.keeper.take_over(EVERY, 1)
    assert (await marker(redis, job)).folded == Offsets(0, 0)
    await worker.fold(accepted(job), 0, Offsets(1, 0))
    assert await status(redis, job) == "queued"


async def test_ended_jobs_expire_and_live_ones_do_not(redis: Redis, log: FixedLog) -> None:
    worker, live, ended = Worker(redis, log), job_ref(), job_ref()
    await worker.keeper.take_over(EVERY, 1)
    await worker.fold(accepted(live), 0, Offsets(1, 0))
    await worker.fold(accepted(ended), 1, Offsets(2, 0))
    await worker.fold(done(ended), 0, Offsets(2, 1))
    assert due(worker.states, now_ms()) == []
    expired = due(worker.states, now_ms() + TTL_S * 1000 + 1)
    assert [(key.decode(), service) for _, key, service in expired] == [(ended.job_id, ended.service)]
    await worker.keeper.forget([(ended.job_id, ended.service)])
    assert await status(redis, ended) is None
    assert await redis.zrange(redis_keys.jobs(live.service), 0, -1) == [live.job_id.encode()]


async def test_a_view_that_cannot_be_read_is_unknown(redis: Redis, log: FixedLog) -> None:
    job = job_ref()
    await redis.set(redis_keys.job(job.job_id), b"{}")
    assert isinstance(await JobReader(redis, log).get(job.job_id), Unknown)


def due(states: JobStates, at_ms: int) -> list[tuple[int, bytes, str]]:
    expiry = Expiry(states, lambda _: TTL_S, lambda: at_ms)
    expiry.due()  # begins a round
    return expiry.due()


def test_states_that_are_not_ours_are_let_go() -> None:
    states = JobStates({}, Codec())
    state: JobState = fold(None, accepted(job_ref()), 0)
    states.put(0, b"a", state)
    states.put(1, b"b", state)
    states.settle(frozenset({1}))
    assert states.get(b"a") is None
    assert states.get(b"b") == state
    assert len(states) == 1


async def test_what_is_outdated_is_shown_again_as_it_is_and_moves_no_marker(redis: Redis, log: FixedLog) -> None:
    worker, job = Worker(redis, log), job_ref()
    partition, key = job_partition(job.job_id), job.job_id.encode()
    await worker.keeper.take_over(EVERY, 1)
    await worker.fold(accepted(job), 0, Offsets(1, 0))
    before = await marker(redis, job)
    worker.states.put(partition, key, fold(worker.states.get(key), done(job), 0))
    assert await worker.keeper.show_again({partition: [key]})
    assert await status(redis, job) == "done"
    assert await marker(redis, job) == before


async def test_a_partition_that_is_not_held_is_not_shown_again(redis: Redis, log: FixedLog) -> None:
    worker, job = Worker(redis, log), job_ref()
    partition, key = job_partition(job.job_id), job.job_id.encode()
    await worker.keeper.take_over(EVERY - {partition}, 1)
    worker.states.put(partition, key, fold(None, accepted(job), 0))
    assert await worker.keeper.show_again({partition: [key]})
    assert await status(redis, job) is None


async def test_while_a_batch_waits_for_redis_nothing_is_shown_again(redis: Redis, log: FixedLog) -> None:
    """The batch counts as folded: a marker that moved before its views stand would say that they do."""

    class Failing(RedisView):
        failing, tried = False, asyncio.Event()

        async def write(self, writes: Sequence[PartitionWrite[ViewWrite]]) -> list[Fenced | None]:
            if self.failing:
                self.tried.set()
                raise Outage("Redis does not answer")
            return await super().write(writes)

    worker, job, view = Worker(redis, log), job_ref(), Failing(redis)
    worker.keeper = ViewKeeper(view, worker.states, log, lambda _: TTL_S)
    partition, key = job_partition(job.job_id), job.job_id.encode()
    await worker.keeper.take_over(EVERY, 1)
    view.failing = True
    folding = asyncio.create_task(worker.fold(accepted(job), 0, Offsets(1, 0)))
    await view.tried.wait()
    view.failing = False
    assert not await worker.keeper.show_again({partition: [key]})
    assert (await marker(redis, job)).folded == Offsets(0, 0)
    await folding
    assert await worker.keeper.show_again({partition: [key]})
    assert (await marker(redis, job)).folded == Offsets(1, 0)
