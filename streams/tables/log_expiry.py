"""Ends jobs whose request retention removed before it was read: `failed`, `log_expired`.

Nobody reads a record that is gone, so nobody would ever say so. The table knows which jobs wait for a stage, and
since when: their request was written then. Where the stage's partition begins later than that (or is empty), the
request is no longer on the log. A worker may still have it in memory: so only a job of which nothing was heard for
an hour is ended, and should the work be done after all, the first end that is on the log holds, as ever.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.events import ErrorInfo
from schemas.topics import StageTopics
from streams.log.kafka_times import Range, time_ranges
from streams.log.protocols import Partition, Publisher
from streams.log.topic_partitions import partition_of
from streams.logs import get_logger
from streams.metrics import JOBS_LOG_EXPIRED
from streams.tables.job_states import JobStates
from streams.tables.rounds import Rounds
from streams.tables.unworked import Wait, end_unworked, keep_looking, waiting

log = get_logger(__name__)

LOG_EXPIRED = "log_expired"

_EVERY_S = 60.0
_STEP = 500
_LOOKED_AT = 20_000
"""Jobs a look: half a second's work a minute, however many there are. A million are through within the hour."""
_FOR_EVER = 2**53


@dataclass(frozen=True, slots=True)
class Patience:
    """How long nothing must have been heard of a job, and how far writers' clocks may differ. In seconds."""

    silent_s: float = 3_600
    skew_s: float = 600


class LogExpiry:
    """Looks through the jobs of this process for requests that are gone, some at a time."""

    def __init__(
        self,
        bootstrap: str,
        states: JobStates,
        publisher: Publisher,
        stages: Callable[[], Mapping[str, StageTopics]],
        now_ms: Callable[[], int],
        patience: Patience | None = None,
    ) -> None:
        self._bootstrap, self._states, self._publisher = bootstrap, states, publisher
        self._stages, self._now_ms = stages, now_ms
        self._patience = patience or Patience()
        self._rounds = Rounds(states.everything, _LOOKED_AT)

    async def run(self) -> None:
        """Look every minute, until cancelled, through outages of the log."""
        await keep_looking(self.look, _EVERY_S, lambda e: log.info("log_expiry.waits", code=e.code, reason=e.message))

    async def look(self) -> int:
        """Look at the next jobs, or at the first again; returns how many were ended. Raises Outage."""
        waits: defaultdict[str, list[Wait]] = defaultdict(list)
        silent_since = self._now_ms() - int(self._patience.silent_s * 1000)
        stages = self._stages()
        for looked, (_, key) in enumerate(self._rounds.some() or self._rounds.some()):
            state = self._states.peek(key)
            wait = None if state is None else waiting(state, stages)
            if wait is not None and wait.since_ms <= silent_since:
                waits[wait.topic.name].append(wait)
            if looked % _STEP == 0:
                await asyncio.sleep(0)
        if not waits:
            return 0
        ranges = await time_ranges(self._bootstrap, waits, 0, _FOR_EVER)
        partitions = {name: sum(p.topic == name for p in ranges) for name in waits}
        skew_ms, ended = int(self._patience.skew_s * 1000), 0
        for name, every in waits.items():
            for wait in every:
                place = Partition(name, partition_of(wait.submission.job.job_id.encode(), partitions[name]))
                if gone(wait.since_ms, ranges[place], skew_ms):
                    await self._end(wait)
                    ended += 1
        return ended

    async def _end(self, wait: Wait) -> None:
        error = ErrorInfo(
            LOG_EXPIRED,
            f"the request for {wait.step.name} was removed from {wait.topic.name} before it was read",
            wait.step.name,
            "submit the document again; see that enough processors run for the work that comes",
        )
        await end_unworked(self._publisher, wait, error, self._now_ms())
        job = wait.submission.job
        JOBS_LOG_EXPIRED.labels(wait.topic.name).inc()
        log.warning("job.log_expired", job_id=job.job_id, service=job.service, topic=wait.topic.name)


def gone(since_ms: int, there: Range, skew_ms: int) -> bool:
    """Tell whether a record that was written at about `since_ms` is no longer in a partition."""
    if there.first == 0:
        return False  # nothing was ever removed
    return there.first_ms is None or since_ms + skew_ms < there.first_ms
