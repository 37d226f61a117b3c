"""The worker under a table: behind a batch that failed nothing more is folded or acknowledged."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP

from schemas.topics import JOB_EVENTS, MAX_REQUEST_BYTES, RESULTS
from streams.log.protocols import LogRecord
from streams.redis_keys import Offsets
from streams.tables.arrivals import Arrived
from streams.tables.job_table import Folded, JobTableApp


class Consumer:
    """What Faust's consumer is asked for here; `held` are its partitions."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.held: set[Any] = set()

    def done(self, generation: int, records: Sequence[LogRecord]) -> None:
        self.acknowledged += [record.offset for record in records]

    def assignment(self) -> set[Any]:
        return self.held

    async def seek_wait(self, partitions: Any) -> None:
        if not partitions.keys() <= self.held:
            raise IllegalStateError("No current assignment for partition")


class Batches:
    """Folds batches; `ends` makes what a batch waits for, or fails."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.ends: Callable[[int], asyncio.Future[Any]] = lambda _: done()

    async def fold(self, arrived: Sequence[Arrived]) -> Folded:
        records = [one.record for one in arrived]
        self.taken += [record.offset for record in records]
        return Folded(1, records, self.ends(records[0].offset))


def done() -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def record(offset: int) -> LogRecord:
    """One that is not held back for company."""
    return LogRecord(RESULTS.name, 0, offset, b"k", b"v", {}, 0)


def worker(batches: Batches, folder: Path) -> tuple[Any, Consumer]:
    table: Any = JobTableApp("127.0.0.1:1", folder, batches.fold, lambda *_: None)
    table.faust.consumer = consumer = Consumer()
    return table, consumer


async def test_what_is_written_is_acknowledged_when_the_next_batch_is_there(tmp_path: Path) -> None:
    batches = Batches()
    table, consumer = worker(batches, tmp_path)
    running = table._consume(None)
    for offset in (1, 2, 3):
        table._arrivals.put(1, [record(offset)])
        await anext(running)
    assert batches.taken == [1, 2, 3]
    assert consumer.acknowledged[:2] == [1, 2]
    assert table.failure == ""


async def folds(table: Any) -> None:
    """Start the agent, as Faust does again after what it raised, and let it take what is there."""
    running = asyncio.ensure_future(anext(table._consume(None)))
    await asyncio.sleep(0)
    running.cancel()


async def test_behind_a_batch_that_raised_nothing_is_folded(tmp_path: Path) -> None:
    batches = Batches()
    table, consumer = worker(batches, tmp_path)

    def fails(offset: int) -> asyncio.Future[Any]:
        raise LookupError(offset)

    batches.ends = fails
    table._arrivals.put(1, [record(1)])
    with pytest.raises(LookupError):
        await anext(table._consume(None))
    batches.ends = lambda _: done()
    table._arrivals.put(1, [record(2)])
    await folds(table)
    assert batches.taken == [1]
    assert consumer.acknowledged == []
    assert "LookupError" in table.failure


async def test_behind_a_changelog_whose_write_was_broken_off_nothing_is_folded(tmp_path: Path) -> None:
    batches = Batches()
    table, consumer = worker(batches, tmp_path)

    def broken_off(_: int) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.cancel()
        return future

    batches.ends = broken_off
    running = table._consume(None)
    table._arrivals.put(1, [record(1)])
    await anext(running)
    batches.ends = lambda _: done()
    table._arrivals.put(1, [record(2)])
    with pytest.raises(asyncio.CancelledError):
        await anext(running)
    table._arrivals.put(1, [record(3)])
    await folds(table)
    assert batches.taken == [1, 2]
    assert consumer.acknowledged == []
    assert "CancelledError" in table.failure


async def test_a_partition_that_is_anothers_by_now_is_not_read_again(tmp_path: Path) -> None:
    table, consumer = worker(Batches(), tmp_path)
    await table.rewind(3, Offsets(5, 0))
    consumer.held = {TP(JOB_EVENTS.name, 3)}
    with pytest.raises(IllegalStateError):  # held, and refused all the same
        await table.rewind(3, Offsets(5, 0))


def test_a_record_of_the_changelog_may_be_as_large_as_others(tmp_path: Path) -> None:
    table, _ = worker(Batches(), tmp_path)
    assert table.faust.producer.max_request_size == MAX_REQUEST_BYTES
