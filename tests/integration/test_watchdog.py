"""The watchdog: a consumer that gets nothing though records wait, a log that is down, a loop that stands still."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

import pytest

from schemas.errors import Outage
from schemas.events import StageRequest
from schemas.topics import stage_topics
from streams.log.memory import MemoryLog, MemoryPublisher, MemorySubscriber
from streams.log.protocols import LogRecord, Partition, Reach
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.testing import FakeContext
from streams.runtime.watchdog import EXIT_STALLED, StalledError, Standstill, watch_consumer
from streams.runtime.worker import Worker, group_of
from tests.builders import beside, stage_request
from tests.integration.worker_harness import make_tools
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil

STAGE = stage_topics("watched", "watched.requests", None)


async def idle(request: object, context: Context | FakeContext) -> Result:
    """Do nothing."""
    raise AssertionError("no record ever comes")


class DeafSubscriber(MemorySubscriber):
    """Joins, commits and knows the end of the log, but no record reaches it; `down`: the log does not answer it."""

    down = False

    async def poll(self, timeout_s: float) -> Mapping[Partition, Sequence[LogRecord]]:
        """Give nothing, as a consumer does whose fetches hang."""
        await asyncio.sleep(0.01)
        return {}

    async def reach(self, partitions: Iterable[Partition]) -> Mapping[Partition, Reach]:
        """Tell where the log ends, if it answers."""
        if self.down:
            raise Outage("no answer", code="kafka_down", remedy="look at the broker")
        return await super().reach(partitions)


@pytest.fixture
async def deaf(kafka: str):
    """A worker that hears nothing, its subscriber, its log and its publisher."""
    async with AsyncExitStack() as stack:
        tools = await make_tools(stack, kafka)
        log = MemoryLog()
        for topic in STAGE.requests.values():
            log.create(topic)
        processor = Processor(STAGE, idle)
        subscriber = DeafSubscriber(log, group_of(processor), [t.name for t in STAGE.requests.values()])
        worker = Worker(processor, subscriber, tools, stages={STAGE.kind: STAGE}, drain_s=1)
        running = asyncio.create_task(worker.run())
        yield worker, subscriber, log
        worker.stop()
        await running


async def test_records_that_wait_and_never_come_end_the_process_with_a_reason(deaf) -> None:
    worker, subscriber, log = deaf
    await log.append("watched.requests", b"job", b"x", {})
    with pytest.raises(StalledError, match=r"watched: 1 records of watched\.requests/\d+ wait, none came for 0\.05 s"):
        async with asyncio.timeout(10):
            await watch_consumer(worker, subscriber, MemoryPublisher(log), interval_s=0.02, stalled_s=0.05)


async def test_one_partition_that_stands_still_beside_others_that_flow_is_a_stall(wait_until: WaitUntil) -> None:
    stage, done = OneStage(), 0

    async def at_once(_: StageRequest, __: Context) -> Result:
        nonlocal done
        done += 1
        return Result(())

    processor = stage.processor(at_once)
    topic = stage.topics.requests["interactive"]
    subscriber = MemorySubscriber(stage.log, group_of(processor), [topic.name])
    async with stage.serve(processor, subscriber) as (worker, _):
        first = stage_request(stage.topics.kind)
        await stage.ask(first)
        await wait_until(lambda: done)
        (heard,) = (p for p, held in worker.held.items() if held.offsets is not None)
        unheard = next(p for p in worker.held if p != heard)
        subscriber.pause([unheard])  # unknown to the worker
        stage.log.partitions(topic.name)[unheard.number].append(
            LogRecord(topic.name, unheard.number, 0, b"job", b"x", {}, 0)
        )
        watching = asyncio.create_task(
            watch_consumer(worker, subscriber, stage.publisher, interval_s=0.02, stalled_s=0.2)
        )
        while not watching.done():
            before = done
            await stage.ask(stage_request(stage.topics.kind, job=beside(first.job)))
            await wait_until(lambda before=before: done > before)
        with pytest.raises(StalledError, match=f"1 records of {topic.name}/{unheard.number} wait, none came for"):
            await watching
    assert done > 2


def test_a_record_that_has_just_come_after_a_long_silence_is_no_stall() -> None:
    """The watchdog may look between its arrival and its being read."""
    standstill, place = Standstill(), Partition("t", 0)
    for _ in range(100):
        standstill.look({}, 5)
    standstill.look({place: Reach(7, 8)}, 5)
    assert standstill.longer_than(0) is None
    standstill.look({place: Reach(8, 9)}, 5)
    assert standstill.longer_than(0) is None, "it was read, and the next one came"
    standstill.look({place: Reach(8, 30), Partition("t", 1): Reach(0, 1)}, 5)
    assert standstill.longer_than(4) == place
    assert standstill.longer_than(5) is None
    standstill.reset()
    standstill.look({place: Reach(8, 30)}, 5)
    assert standstill.longer_than(0) is None


async def test_an_empty_log_is_no_stall(deaf) -> None:
    worker, subscriber, log = deaf
    watching = asyncio.create_task(
        watch_consumer(worker, subscriber, MemoryPublisher(log), interval_s=0.001, stalled_s=0)
    )
    await worker.joined.wait()
    for _ in range(200):
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()


async def test_a_dead_connection_beside_a_healthy_publisher_is_a_stall(deaf) -> None:
    worker, subscriber, log = deaf
    subscriber.down = True
    with pytest.raises(StalledError, match="connection is dead"):
        async with asyncio.timeout(10):
            await watch_consumer(worker, subscriber, MemoryPublisher(log), interval_s=0.02, stalled_s=0.05)


def test_a_loop_that_stands_still_ends_the_process() -> None:
    program = """
        import asyncio, threading
        from streams.runtime.watchdog import LoopWatch

        async def main():
            LoopWatch(asyncio.get_running_loop(), limit_s=0.2, interval_s=0.05).start()
            threading.Event().wait()  # the loop never runs again

        asyncio.run(main())
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60, check=False)
    assert ended.returncode == EXIT_STALLED
