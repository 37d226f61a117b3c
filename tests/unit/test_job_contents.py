"""The table of jobs: a job that has had its time is removed with a tombstone, a live one never is."""

from collections.abc import Callable
from typing import Any

from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import JobEvent, JobRef, JobResult, Step
from schemas.ids import event_id
from schemas.topics import JOB_EVENTS, RESULTS
from streams.log.protocols import LogRecord
from streams.log.schema_reader import CodecDecoder
from streams.tables.job_contents import JobContents
from streams.tables.job_states import JobStates
from streams.tables.partitions import job_partition
from streams.tables.table_process import Change
from tests.builders import beside, job_ref

TTL_S = 3600
ENDED_MS = 1_000_000
OVER_MS = ENDED_MS + TTL_S * 1000
STEPS = (Step("noop", "noop"),)


class View:
    """Stands for the views in Redis: notes which jobs it is told to forget."""

    def __init__(self) -> None:
        self.down = False
        self.forgotten: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def forget(self, jobs: list[tuple[str, str]]) -> None:
        self.meanwhile()
        if self.down:
            raise Outage("Redis does not answer")
        self.forgotten += [job_id for job_id, _ in jobs]


class Table:
    """The contents over a store, as a process has them after its recovery."""

    def __init__(self, store: dict[bytes, bytes], now_ms: int) -> None:
        self.store, self.view, codec = store, View(), Codec()

        def keeper_of(_: JobStates) -> Any:
            return self.view

        self.contents = JobContents(store, codec, CodecDecoder(codec), keeper_of, lambda _: TTL_S, lambda: now_ms)
        for key in store:
            self.contents.recovered(job_partition(key.decode()), key, True)
        self.contents.settle(frozenset(range(8)))

    def take(self, job: JobRef, *, ended: bool) -> None:
        """Take a job's records."""
        partition, key = job_partition(job.job_id), job.job_id.encode()
        event = JobEvent(event_id(job.job_id, "accepted"), job, "accepted", STEPS, ENDED_MS)
        batch: list[tuple[LogRecord, JobEvent | JobResult]] = [
            (LogRecord(JOB_EVENTS.name, partition, 0, key, b"", {}, ENDED_MS), event)
        ]
        if ended:
            result = JobResult(event_id(job.job_id, "result"), job, "done", STEPS, finished_at_ms=ENDED_MS)
            batch.append((LogRecord(RESULTS.name, partition, 0, key, b"", {}, ENDED_MS), result))
        self.contents.take(batch)

    async def tidied(self) -> list[Change]:
        """What is removed while the whole table is gone through twice."""
        return [change for _ in range(4) for change in await self.contents.tidy()]


def tombstone(job: JobRef) -> Change:
    return job_partition(job.job_id), job.job_id.encode(), None


async def test_an_expired_job_that_ended_gets_a_tombstone_and_a_live_one_stays() -> None:
    ended, live = job_ref(), job_ref()
    table = Table({}, OVER_MS)
    table.take(ended, ended=True)
    table.take(live, ended=False)
    assert await table.tidied() == [tombstone(ended)]
    assert table.view.forgotten == [ended.job_id]
    assert set(table.store) == {live.job_id.encode()}
    assert len(table.contents) == 1


async def test_a_job_whose_time_is_not_over_stays() -> None:
    table = Table({}, OVER_MS - 1)
    table.take(job_ref(), ended=True)
    assert await table.tidied() == []
    assert len(table.contents) == 1


async def test_the_same_jobs_are_removed_after_a_recovery() -> None:
    ended, live = job_ref(), job_ref()
    table = Table({}, OVER_MS - 1)
    table.take(ended, ended=True)
    table.take(live, ended=False)
    again = Table(dict(table.store), OVER_MS)
    assert await again.tidied() == [tombstone(ended)]
    assert set(again.store) == {live.job_id.encode()}
    # Faust applies a tombstone to the store itself, and tells of it.
    last = Table(dict(again.store), OVER_MS)
    last.contents.recovered(*tombstone(ended)[:2], False)
    assert await last.tidied() == []
    assert len(last.contents) == 1


async def test_a_job_that_the_view_cannot_forget_stays_until_it_can() -> None:
    ended = job_ref()
    table = Table({}, OVER_MS)
    table.take(ended, ended=True)
    table.view.down = True
    assert await table.tidied() == []
    assert set(table.store) == {ended.job_id.encode()}
    table.view.down = False
    assert await table.tidied() == [tombstone(ended)]


async def test_a_job_that_goes_on_while_its_view_is_forgotten_stays_and_is_shown_again() -> None:
    ended = job_ref()
    table = Table({}, OVER_MS)
    table.take(ended, ended=True)
    partition, key = job_partition(ended.job_id), ended.job_id.encode()
    table.view.meanwhile = lambda: table.take(beside(ended), ended=False)
    assert await table.tidied() == []
    assert set(table.store) == {key}
    assert table.contents.outdated() == {partition: {key}}
    table.contents.shown_again()
    assert not table.contents.outdated()
