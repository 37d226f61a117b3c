"""What comes from the log: polled, decoded, and admitted to its partition's window."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from schemas.errors import Outage, UndecodableRecord
from schemas.events import StageRequest
from streams.log.protocols import LogRecord, Partition, Subscriber
from streams.logs import get_logger
from streams.runtime.assignment import ALONE_AFTER, HeldPartition, Work
from streams.runtime.attempts import Loop
from streams.runtime.committer import Committer
from streams.runtime.processor import Processor
from streams.runtime.request_records import RequestRecords
from streams.runtime.turns import Turns

log = get_logger(__name__)

POLL_S = 0.5
_OPEN_S = 5.0
_SCHEMAS_S = 1.0


class Reading:
    """Reads for a worker, as far as there is room.

    `outage` says why nothing can be read; empty when it can. `undecided` are the records that wait for the topic
    `schemas`.
    """

    def __init__(
        self,
        processor: Processor,
        group: str,
        subscriber: Subscriber,
        held: Mapping[Partition, HeldPartition],
        records: RequestRecords,
        turns: Turns,
        committer: Committer,
        loop: Loop,
    ) -> None:
        self._processor = processor
        self._group = group
        self._subscriber = subscriber
        self._held = held
        self._records = records
        self._turns = turns
        self._committer = committer
        self._loop = loop
        self._to_refill: set[HeldPartition] = set()
        self.outage = ""
        self.undecided: set[tuple[HeldPartition, int]] = set()

    async def run(self) -> None:
        """Read for ever."""
        while True:
            try:
                fetched = await self._subscriber.poll(POLL_S)
            except Outage as e:
                self.outage = e.message
                log.warning("poll.failed", group=self._group, code=e.code, reason=e.message)
                await asyncio.sleep(POLL_S)
                continue
            self.outage = ""
            if fetched:
                await self._take(fetched)
            self._loop.dispatch()

    def admit(self, held: HeldPartition) -> None:
        """Let what was read into the window as far as it has room; pause or resume reading."""
        while not held.lost and (record := held.admit()) is not None:
            try:
                request = self._records.decode(record)
            except UndecodableRecord as e:
                self._loop.spawn(self._look_again(held, record, e))
            else:
                self._enqueue(held, record, request)
        pause = held.should_pause()
        if pause is not None and not held.lost:
            held.paused = pause
            (self._subscriber.pause if pause else self._subscriber.resume)([held.partition])

    def refill_soon(self, held: HeldPartition) -> None:
        """A work of the partition left the window: admit others, a window at a time, so that the loop has its turns."""
        if not self._to_refill:
            asyncio.get_running_loop().call_soon(self._refill)
        self._to_refill.add(held)

    def _refill(self) -> None:
        partitions, self._to_refill = self._to_refill, set()
        for held in partitions:
            self.admit(held)
        self._loop.dispatch()

    async def _take(self, fetched: Mapping[Partition, Sequence[LogRecord]]) -> None:
        # A KeyError here ends the process: to pass records of an unknown partition over would lose them.
        taken = [(self._held[p], records) for p, records in fetched.items()]
        fresh = [held for held, records in taken if held.take(records)]
        if fresh:
            # Before any work: if this process dies, the next owner must see that the partition was in use.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OPEN_S):
                    await self._committer.flush()
        for held, _ in taken:
            self.admit(held)

    async def _look_again(self, held: HeldPartition, record: LogRecord, error: UndecodableRecord) -> None:
        place = (held, record.offset)
        try:
            while held.awaits(record.offset):
                try:
                    request = await self._records.decode_or_bury(record, error)
                except Outage as e:  # its schema may be there; meanwhile the record keeps its place in the window
                    log.warning("record.undecided", group=self._group, code=e.code, reason=e.message)
                    self.undecided.add(place)
                    await asyncio.sleep(_SCHEMAS_S)
                    continue
                if request is None:
                    self._loop.finish(held, record.offset)
                elif held.awaits(record.offset):
                    self._enqueue(held, record, request)
                    self._loop.dispatch()
                return
        finally:
            self.undecided.discard(place)

    def _enqueue(self, held: HeldPartition, record: LogRecord, request: StageRequest) -> None:
        offsets = held.offsets
        assert offsets is not None
        work = Work(record, request, held.lane, held)
        work.suspect = offsets.is_suspect(record.offset)
        work.alone = offsets.attempts(record.offset) >= ALONE_AFTER
        work.dependency = self._processor.depends_on(request)
        if not held.hold(work):
            log.info("request.repeated", group=self._group, job_id=request.job.job_id, offset=record.offset)
            held.finish(record.offset)
            return
        self._turns.wait(work)
