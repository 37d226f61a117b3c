"""The jobs that were cancelled lately, known to every processor through `job.control`."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Self

from schemas.events import JobControl, JobRef
from schemas.topics import JOB_CONTROL
from streams.cancelling import CANCEL
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Decoder, Publisher, Tail

_MOST = 100_000
_START_S = 10.0


class CancelledJobs:
    """A bounded set of jobs, each up to an epoch; listeners hear each new one. Enter it to follow the topic."""

    def __init__(self, tail: Tail, decoder: Decoder, publisher: Publisher | None) -> None:
        assert tail.topic == JOB_CONTROL.name
        self._epochs: OrderedDict[str, int] = OrderedDict()
        self._listeners: list[Callable[[str], None]] = []
        self._view = CompactedView(tail, JobControl, decoder, publisher, on_change=self._changed, keep=False)

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        # Late cancels are better than no work: a broker that is slow now does not hold up the start.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                await self._view.caught_up()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._view.__aexit__(*args)

    def __contains__(self, job: JobRef) -> bool:
        # A dead letter that is replayed later is another epoch, which nobody cancelled.
        return job.epoch <= self._epochs.get(job.job_id, -1)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with the id of each job that is cancelled from now on."""
        self._listeners.append(listener)

    def add(self, job_id: str, epoch: int = 0) -> None:
        """Note a job that was cancelled up to an epoch; the oldest gives way when there are too many."""
        self._epochs[job_id] = max(epoch, self._epochs.get(job_id, 0))
        if len(self._epochs) > _MOST:
            self._epochs.popitem(last=False)
        for listener in self._listeners:
            listener(job_id)

    def _changed(self, _key: str, control: JobControl | None) -> None:
        if control is not None and control.action == CANCEL:
            self.add(control.job_id, control.epoch)
