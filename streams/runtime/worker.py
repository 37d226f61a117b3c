"""The one loop: read, decode, handle, publish, commit.

For each request:

1. read the record, decode it, admit it to its partition's window (at most 64 unfinished, besides what waits
   for a dependency that is down); one that repeats an unfinished request of its partition is finished with that;
2. when its turn comes (lanes, services; at most `concurrency` at a time) count the attempt and run the
   handler; before the handler's first call into a child process, the attempt is committed;
3. publish outcome, next request or result, event and usage, at the same time, and wait for all acks;
4. mark the offset as finished;
5. commit what is contiguous: at least every 200 ms, at a revocation and at the end.

A crash before 3 repeats the work (the attempt is counted when it was committed), one during 3 or
before 5 repeats the work and the records, whose ids are the same; no fold minds. Nothing is lost,
because no offset is committed before its records are acknowledged.

A failed attempt is repeated in place after a pause, while its neighbours go on; an outage holds the
whole stage back and costs no attempt; what cannot be done goes to the dead letter topic (with a
failed result), and then counts as finished.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from schemas.errors import Outage
from schemas.topics import StageTopics
from streams.log.protocols import Committed, Partition, Subscriber
from streams.logs import get_logger
from streams.metrics import CONSUMER_REBALANCES
from streams.runtime.assignment import HeldPartition, Work
from streams.runtime.attempts import Attempts, Loop
from streams.runtime.committer import Committer
from streams.runtime.handling import Handling, Tools
from streams.runtime.processor import Processor
from streams.runtime.reading import POLL_S, Reading
from streams.runtime.request_records import RequestRecords
from streams.runtime.stage_metrics import StageMetrics
from streams.runtime.turns import Turns
from streams.stages import all_stages
from streams.tasks import end_tasks

log = get_logger(__name__)

_END_S = 5.0
_AGAIN_S = 0.05
DRAIN_S = 25.0

_LOST = "lost"
_STOPPED = "stopped"


class Worker:
    """Serves one stage kind. `run` it as a task; `stop` lets it finish what is in work and return.

    `stages` tells which topics the next steps' requests go to: all that there are, unless given.
    """

    def __init__(
        self,
        processor: Processor,
        subscriber: Subscriber,
        tools: Tools,
        *,
        group: str = "",
        stages: Mapping[str, StageTopics] | None = None,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._processor = processor
        self._subscriber = subscriber
        self._tools = tools
        self._kind = processor.topics.kind
        self._group = group or group_of(processor)
        self._drain_s = drain_s
        self._lanes = {topic.name: lane for lane, topic in processor.topics.requests.items()}
        self._held: dict[Partition, HeldPartition] = {}
        self._committer = Committer(self._group, subscriber, self._collect, self._acknowledge)
        self._handling = Handling(
            processor,
            tools,
            stages or all_stages(),
            commit_attempts=self._commit_attempts,
            hold=self._hold_publishing,
            progressed=self._note_progress,
        )
        self._metrics = StageMetrics(self._kind)
        self._turns = Turns(
            processor.concurrency,
            self._metrics,
            tools.solitude,
            self._dispatch,
            lambda held: self._reading.refill_soon(held),
        )
        loop = Loop(dispatch=self._dispatch, finish=self._finish, spawn=self._spawn)
        self._attempts = Attempts(
            processor, self._group, self._handling, self._turns, self._metrics, self._committer, loop
        )
        records = RequestRecords(self._kind, tools, self._handling)
        self._reading = Reading(
            processor, self._group, subscriber, self._held, records, self._turns, self._committer, loop
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._unpublished = 0
        self._suspended = True
        self._revocations = 0
        self._joined = asyncio.Event()
        self._stopping = asyncio.Event()
        self._broken: BaseException | None = None
        self.assigned_at = self.progressed_at = time.monotonic()
        tools.cancelled.listen(self._on_cancel)

    @property
    def kind(self) -> str:
        """The stage kind."""
        return self._kind

    @property
    def group(self) -> str:
        """The consumer group."""
        return self._group

    @property
    def held(self) -> Mapping[Partition, HeldPartition]:
        """The assigned partitions."""
        return self._held

    @property
    def in_work(self) -> int:
        """Requests whose handler runs, or whose records are being written."""
        return len(self._tasks)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest unfinished request was made; None when there is none."""
        return min((w.request.requested_at_ms for h in self._held.values() for w in h.works.values()), default=None)

    @property
    def joined(self) -> asyncio.Event:
        """Set once partitions have been assigned for the first time."""
        return self._joined

    @property
    def unavailable(self) -> str:
        """Why the worker does not work; empty when it does."""
        if self._turns.outage:
            return self._turns.outage
        if self._unpublished:
            return "the log takes no records"
        if self._reading.outage:
            return self._reading.outage
        return "" if self._joined.is_set() else "joining the consumer group"

    @property
    def should_progress(self) -> bool:
        """Whether something waits that no outage holds back: then works must begin or end."""
        waits = self._turns.wait_for_slots or any(held.backlog for held in self._held.values())
        held_up = self._turns.outage or self._turns.wait_for_others or self._unpublished or self._suspended
        held_up = held_up or self._reading.undecided
        return waits and not held_up

    @property
    def longest_s(self) -> float:
        """How long an attempt may get nowhere, and so how long nothing may begin, get on or end."""
        return self._processor.attempt_timeout_s

    @property
    def stopping(self) -> bool:
        """Whether the worker was told to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Take nothing more; `run` returns when what is in work is finished and committed."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`. Raises what ends it early."""
        self._tools.solitude.listen(self._dispatch)
        try:
            if await self._join():
                await self._serve()
        finally:
            self._tools.solitude.forget(self._dispatch)

    async def _serve(self) -> None:
        committing = asyncio.create_task(self._committer.run())
        polling = asyncio.create_task(self._reading.run())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((polling, committing, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in (polling, committing):
                if task.done():
                    task.result()
            if self._broken is not None:
                raise self._broken
        finally:
            await end_tasks(polling, stopping)
            await self._drain()
            await end_tasks(committing)
            await self._handling.close()
            with contextlib.suppress(Outage):  # what is not committed is repeated
                await self._committer.commit()
            await self._subscriber.stop()

    async def _join(self) -> bool:
        """Join the group, however long the log is down; False when told to stop before."""
        while not self._stopping.is_set():
            joining = asyncio.create_task(self._subscriber.start(self))
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait((joining, stopping), return_when=asyncio.FIRST_COMPLETED)
                if joining.done():
                    joining.result()
                    return True
            except Outage as e:
                self._reading.outage = e.message
                log.warning("join.failed", group=self._group, code=e.code, reason=e.message)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._stopping.wait()
            finally:
                await end_tasks(joining, stopping)
        await self._subscriber.stop()
        return False

    # --- Starting -----------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Start what may start now."""
        while self._may_start() and (work := self._turns.next()) is not None:
            if work.dropped:
                continue
            if work.request.job in self._tools.cancelled:
                self._spawn(self._attempts.withdraw(work))
                continue
            if self._turns.must_wait_for_all(work):
                return
            if self._turns.may_begin(work):
                self._start(work)

    def _may_start(self) -> bool:
        return self._turns.has_room and not self._suspended and not self._unpublished and not self._stopping.is_set()

    def _start(self, work: Work) -> None:
        self.progressed_at = time.monotonic()
        self._attempts.begin(work)

    def _note_progress(self) -> None:
        self.progressed_at = time.monotonic()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            error = None if self._stopping.is_set() else RuntimeError("a task was cancelled by nobody of ours")
        else:
            error = task.exception()
        if error is not None:
            # Nothing in an attempt may raise: the offset stays unfinished and is repeated by the next owner.
            log.error("worker.broken", group=self._group, reason=repr(error))
            self._broken = error
            self._stopping.set()

    def _hold_publishing(self, change: int) -> None:
        self._unpublished += change
        if not self._unpublished:
            self._dispatch()

    # --- Ending -------------------------------------------------------------------------------

    def _finish(self, held: HeldPartition, offset: int) -> None:
        self.progressed_at = time.monotonic()
        held.finish(offset)
        if held.backlog or held.paused:
            self._reading.admit(held)
        self._dispatch()

    def _on_cancel(self, job_id: str) -> None:
        for held in self._held.values():
            for work in held.works.values():
                if work.request.job.job_id == job_id and work.request.job in self._tools.cancelled:
                    self._attempts.cancel(work)
        self._dispatch()

    async def _drain(self) -> None:
        self._stopping.set()
        until = time.monotonic() + self._drain_s
        while self._tasks and (left_s := until - time.monotonic()) > 0:
            await asyncio.wait(tuple(self._tasks), timeout=left_s)  # what has ended may have begun another: to settle
        for held in self._held.values():
            for work in tuple(held.works.values()):
                self._attempts.drop(work, _STOPPED)
        self._turns.forget_dropped()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=_END_S)

    # --- The group ----------------------------------------------------------------------------

    async def revoked(self, partitions: AbstractSet[Partition]) -> None:
        """Stop starting and commit what is finished; what is in work goes on until the assignment is known."""
        self._suspended = True
        self._revocations += 1
        if partitions:
            try:
                await self._committer.commit()
            except Outage as e:
                log.info("commit.failed", group=self._group, code=e.code, reason=e.message)

    async def assigned(self, partitions: Mapping[Partition, Committed | None]) -> None:
        """Keep what came back, with its work; drop what went to others, uncommitted."""
        CONSUMER_REBALANCES.labels(self._group).inc()
        self.assigned_at = time.monotonic()
        for partition in [p for p in self._held if p not in partitions]:
            held = self._held.pop(partition)
            held.lost = True
            for work in tuple(held.works.values()):
                self._attempts.drop(work, _LOST)
        for partition, committed in partitions.items():
            held = self._held.get(partition)
            if held is None:
                lane = self._lanes[partition.topic]
                held = self._held[partition] = HeldPartition(partition, lane, committed)
                held.read_next = committed.offset if committed else 0
            else:
                for work in held.keep(committed):
                    self._attempts.drop(work, _LOST)
            if held.paused:
                held.paused = False
                self._subscriber.resume([partition])
        self._turns.forget_dropped()
        self._suspended = False
        if partitions:
            self._joined.set()
        self._dispatch()

    async def _commit_attempts(self) -> None:
        """Wait until the attempts begun so far are committed: while partitions may go to others, none of them is."""
        while True:
            before = self._revocations
            if not self._suspended:
                await self._committer.flush()
                if self._revocations == before:
                    return
            await asyncio.sleep(_AGAIN_S)

    def _collect(self) -> Mapping[Partition, Committed]:
        in_use = not (self._stopping.is_set() and not self._tasks)
        return {
            partition: commit
            for partition, held in self._held.items()
            if (commit := held.to_commit(in_use=in_use, handing_over=self._suspended)) is not None
        }

    def _acknowledge(self, offsets: Mapping[Partition, Committed]) -> None:
        for partition, commit in offsets.items():
            if partition in self._held:
                self._held[partition].committed = commit


def group_of(processor: Processor, suffix: str = "") -> str:
    """Return the name of a processor's consumer group."""
    return f"processor.{processor.topics.kind}{suffix}"
