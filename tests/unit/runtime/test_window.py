"""Reading ahead is bounded, and a partition that stands still stops no other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from schemas.events import StageRequest
from schemas.topics import Lane
from streams.log.memory import MemorySubscriber
from streams.log.protocols import LogRecord, Partition
from streams.runtime.offsets import MAX_UNFINISHED
from streams.runtime.processor import Context, Result
from streams.runtime.worker import group_of
from tests.builders import beside, job_ref, stage_request
from tests.unit.runtime.in_memory import OneStage

WaitUntil = Callable[..., Awaitable[None]]

AT_ONCE = 50
PAUSED_ABOVE = 256


class InPieces(MemorySubscriber):
    """Gives at most AT_ONCE records of a partition at a time, and notes what is paused and resumed."""

    notes: list[tuple[str, frozenset[Partition]]]

    async def poll(self, timeout_s: float) -> Mapping[Partition, Sequence[LogRecord]]:
        """Return the next piece of each partition."""
        found = await super().poll(min(timeout_s, 0.01))
        for partition, records in found.items():
            self._position[partition] -= len(records[AT_ONCE:])
        await asyncio.sleep(0)
        return {partition: records[:AT_ONCE] for partition, records in found.items()}

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Note it."""
        partitions = frozenset(partitions)
        self.notes.append(("pause", partitions))
        super().pause(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Note it."""
        partitions = frozenset(partitions)
        self.notes.append(("resume", partitions))
        super().resume(partitions)


async def test_a_full_window_pauses_its_own_partition_until_there_is_room(wait_until: WaitUntil) -> None:
    stage, gate, done = OneStage(), asyncio.Event(), dict[str, int]()
    standing = job_ref()
    topic = stage.topics.requests[Lane.INTERACTIVE].name

    async def handle(request: StageRequest, _: Context) -> Result:
        if request.job.job_id == standing.job_id:
            await gate.wait()
        done[request.job.job_id] = done.get(request.job.job_id, 0) + 1
        return Result(outputs=())

    processor = stage.processor(handle, concurrency=2 * MAX_UNFINISHED)
    subscriber = InPieces(stage.log, group_of(processor), [topic])
    subscriber.notes = []
    many = 20 * AT_ONCE
    await stage.ask(*(stage_request(stage.topics.kind, job=beside(standing)) for _ in range(many)))
    (stands,) = (number for number, records in enumerate(stage.log.partitions(topic)) if records)
    place = Partition(topic, stands)
    async with stage.serve(processor, subscriber) as (worker, _):
        await wait_until(lambda: subscriber.notes)
        held, others = worker.held[place], [stage_request(stage.topics.kind) for _ in range(300)]
        await stage.ask(*others)
        flowing = [r for r in others if Partition(topic, _number(stage, topic, r)) != place]
        await wait_until(lambda: all(r.job.job_id in done for r in flowing))
        assert subscriber.notes == [("pause", frozenset({place}))]
        assert PAUSED_ABOVE < len(held.backlog) <= PAUSED_ABOVE + AT_ONCE
        assert len(held.works) == MAX_UNFINISHED
        assert standing.job_id not in done
        assert not worker.unavailable
        gate.set()
        await wait_until(lambda: done.get(standing.job_id) == many)
        await wait_until(lambda: sum(done.values()) == many + 300)
        await wait_until(lambda: not held.works)
    notes = [what for what, partitions in subscriber.notes if partitions == frozenset({place})]
    assert notes[: len(notes) // 2 * 2] == ["pause", "resume"] * (len(notes) // 2)
    assert subscriber.notes[-1] == ("resume", frozenset({place}))
    assert held.offsets is not None
    assert held.offsets.committable == len(stage.log.partitions(topic)[stands])


def _number(stage: OneStage, topic: str, request: StageRequest) -> int:
    key = request.job.job_id.encode()
    return next(
        number for number, records in enumerate(stage.log.partitions(topic)) if any(r.key == key for r in records)
    )
