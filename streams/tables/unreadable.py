"""Ends jobs whose request could not be decoded: `failed`, with the code of its dead letter.

A processor that cannot read a record knows only its key, the job's id; the table knows the job. So every replica reads
the dead letter topics of the stages and ends the jobs that are its own and still wait for just that request. What it
does not know (another replica's, not accepted yet, nobody's) it keeps for a day, for partitions move.
"""

from collections.abc import Callable, Mapping

from schemas.dead_letters import SETTLED, Letter, Settlement, Source, source_of
from schemas.events import ErrorInfo
from schemas.topics import StageTopics
from streams.log.kafka_times import Raw, read_offsets, time_ranges
from streams.log.protocols import Partition, Publisher
from streams.logs import get_logger
from streams.tables.job_states import JobStates
from streams.tables.unworked import end_unworked, keep_looking, waiting

log = get_logger(__name__)

_EVERY_S = 15.0
_KEPT_MS = 24 * 3600 * 1000
_MOST_KEPT = 10_000
_FOR_EVER = 2**53


class UnreadableRequests:
    """Looks through the dead letters for requests of this process's jobs that nobody could read."""

    def __init__(
        self,
        bootstrap: str,
        states: JobStates,
        publisher: Publisher,
        stages: Callable[[], Mapping[str, StageTopics]],
        now_ms: Callable[[], int],
    ) -> None:
        self._bootstrap, self._states, self._publisher = bootstrap, states, publisher
        self._stages, self._now_ms = stages, now_ms
        self._read_to: dict[Partition, int] = {}
        self._open: dict[Source, Letter] = {}

    async def run(self) -> None:
        """Look every quarter of a minute, until cancelled, through outages of the log."""
        await keep_looking(
            self.look, _EVERY_S, lambda e: log.info("unreadable_requests.waits", code=e.code, reason=e.message)
        )

    async def look(self) -> int:
        """Read the letters that are new and end the jobs they tell of; returns how many. Raises Outage."""
        stages, now_ms = self._stages(), self._now_ms()
        await self._read(stages, now_ms - _KEPT_MS)
        ended = 0
        for source, letter in tuple(self._open.items()):
            if letter.at_ms < now_ms - _KEPT_MS:
                del self._open[source]
            elif (state := self._states.peek(letter.key or b"")) is not None:
                wait = waiting(state, stages)
                if wait is not None and wait.topic.name != source.topic:
                    continue  # the table is behind: it has not seen the step before this one end
                if wait is not None:
                    await end_unworked(self._publisher, wait, _error(letter, wait.step.name), now_ms)
                    job = wait.submission.job
                    log.warning("job.unreadable", job_id=job.job_id, service=job.service, of=str(source))
                    ended += 1
                del self._open[source]
        return ended

    async def _read(self, stages: Mapping[str, StageTopics], since_ms: int) -> None:
        topics = [topic.dead_letters for stage in stages.values() for topic in stage.requests.values()]
        ranges = await time_ranges(self._bootstrap, topics, since_ms, _FOR_EVER)
        new = {place: (max(at.start, self._read_to.get(place, 0)), at.end) for place, at in ranges.items()}
        async for batch in read_offsets(self._bootstrap, new):
            for record in batch:
                self._note(record)
        self._read_to |= {place: end for place, (_, end) in new.items()}

    def _note(self, record: Raw) -> None:
        headers = dict(record.headers)
        source = source_of(headers)
        if source is None:
            return
        if SETTLED in headers:
            if headers[SETTLED].decode(errors="replace") == Settlement.REPLAYED:
                self._open.pop(source, None)  # it is on its topic again
            return
        # Without the bytes, which may be large. Whoever could decode the record wrote down whose job it was.
        letter = Letter(source, record.key, None, headers)
        if letter.stage and not letter.service:
            self._open[source] = letter
            if len(self._open) > _MOST_KEPT:
                del self._open[next(iter(self._open))]


def _error(letter: Letter, step: str) -> ErrorInfo:
    return ErrorInfo(
        letter.code,
        f"the request for {step} could not be read: {letter.message}",
        step,
        f"submit it again; when its schema is known, an operator can replay it: ./gateway dlt replay {letter.source}",
    )
