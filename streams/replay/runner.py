"""Runs replays: plans them, starts their jobs, follows their ends, promotes. One process at a time does.

Who does is the owner of the one partition of `replays` in the group `replay-runner`; when it dies, the
group gives the partition to another. What a new owner finds half done it takes up:

1. a plan is made anew until its event is on the log: it starts nothing;
2. before it starts the jobs that are left, it reads which ones are on their topic already;
3. a promotion skips the jobs whose record is there;
4. what a cancelled replay left open is cancelled until that is noted.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.codec import Codec
from schemas.errors import GatewayError, InvalidInput, Outage, UndecodableRecord
from schemas.events import ErrorInfo, JobStatus, StageOutcome, StageRequest
from schemas.ids import event_id
from schemas.payloads import json_payload
from schemas.purges import blob_refs
from schemas.replays import (
    ReplayEvent,
    ReplayKind,
    ReplayPlan,
    ReplayProgress,
    ReplayState,
    ReplayStatus,
    overlapping,
    replayed_id,
)
from schemas.topics import JOB_EVENTS, REPLAYS, StageTopics
from streams.cancelling import cancelled
from streams.log.kafka_times import read_offsets, time_ranges
from streams.log.protocols import Decoder, Outgoing, Publisher
from streams.logs import get_logger
from streams.modules import Offered
from streams.purge.purged import PurgedJobs
from streams.replay.comparing import AT_ONCE
from streams.replay.heads import StageHead, stage_heads
from streams.replay.open_jobs import Window
from streams.replay.outcomes import End, Ends, Outcomes, read_outcomes, read_results
from streams.replay.planner import Item, encode_items, plan, record_of
from streams.replay.plans import items_of, keep_plans, records_of
from streams.replay.promoting import promotion
from streams.replay.starting import NewJob, new_job
from streams.replay.view import Replays
from streams.runtime.lease import work_while_leased
from streams.storage import claim_check
from streams.storage.blobs import BlobStore
from streams.tasks import end_tasks

log = get_logger(__name__)

GROUP = "replay-runner"
RUNNER = "runner"
REMOVED = "content_removed"
"""Why a job is not started though it was planned: the store no longer has its input."""

_BATCH = 100
_LOOK_S = 1.0
_RETRY_S = 1.0
_SKEW_MS = 60_000
_FOR_EVER = 2**53
_KEEP_S = 3_600.0


@dataclass(frozen=True, slots=True)
class RunnerTools:
    """What running replays needs."""

    bootstrap: str
    publisher: Publisher
    decoder: Decoder
    codec: Codec
    blobs: BlobStore
    purged: PurgedJobs
    modules: Offered
    stages: Mapping[str, StageTopics]
    replays: Replays


async def run_replays(tools: RunnerTools, stop: asyncio.Event, group: str = GROUP) -> None:
    """Run replays until `stop`, whenever this process holds the lease."""
    await tools.replays.caught_up()
    await work_while_leased(tools.bootstrap, group, REPLAYS.name, lambda: _supervise(tools), stop)


async def _supervise(tools: RunnerTools) -> None:
    """Keep a task for every replay that has something to do."""
    tasks: dict[str, asyncio.Task[None]] = {}
    keep_at = 0.0
    try:
        while True:
            for state in tools.replays.all():
                task = tasks.get(state.replay_id)
                if (state.active or state.promoting or state.stopping) and (task is None or task.done()):
                    tasks[state.replay_id] = asyncio.create_task(_run_one(tools, state.replay_id))
            if time.monotonic() >= keep_at:
                await keep_plans(tools.replays, tools.blobs)
                keep_at = time.monotonic() + _KEEP_S
            await tools.replays.changed(_LOOK_S)
    finally:
        await end_tasks(*tasks.values())


async def _run_one(tools: RunnerTools, replay_id: str) -> None:
    try:
        await ReplayRun(tools, replay_id).run()
    except Outage as e:
        log.warning("replay.waits", replay_id=replay_id, code=e.code, reason=e.message)
        await asyncio.sleep(_RETRY_S)
    except GatewayError as e:
        log.error("replay.failed", replay_id=replay_id, code=e.code, reason=e.message)
        error = ErrorInfo(e.code, e.message, remedy=e.remedy)
        await tools.replays.put(_event(replay_id, ReplayKind.CANCELLED, error=error))
    except Exception as e:
        log.exception("replay.waits", replay_id=replay_id, reason=type(e).__name__)
        await asyncio.sleep(_RETRY_S)


class ReplayRun:
    """One replay, from where it stands."""

    def __init__(self, tools: RunnerTools, replay_id: str) -> None:
        self._tools, self._id = tools, replay_id
        self._progress = ReplayProgress()

    @property
    def _state(self) -> ReplayState | None:
        return self._tools.replays.get(self._id)

    async def run(self) -> None:
        """Work until there is nothing more to do for now. Raises Outage, or what ends the replay."""
        state = self._state
        if state is None:
            return
        if state.promoting:
            await self._promote(state)
            return
        if state.stopping:
            await self._stop(state)
            return
        if state.plan is None:
            await self._plan(state)
            state = self._state
        if state is None or state.plan is None or not state.active:
            return
        self._progress = state.progress
        items = await items_of(state.plan, self._tools.blobs)
        ids = frozenset(replayed_id(self._id, item.original) for item in items)
        ends = Ends(self._tools.bootstrap, self._tools.codec, ids, state.started_at_ms)
        if await self._start_all(state, items, ends) and await self._all_ended(ends):
            await self._put(ReplayKind.FINISHED)

    async def _plan(self, state: ReplayState) -> None:
        earlier = [s for s in self._tools.replays.all() if (s.started_at_ms, s.replay_id) < _rank(state)]
        other = overlapping(state.request, earlier)
        if other is not None:
            raise overlap_error(other)
        found = await plan(
            self._tools.bootstrap, state.request, self._tools.stages, self._tools.codec, await self._purged()
        )
        payload = json_payload(encode_items(found.items), "plan.json")
        items = await claim_check.check_in(payload, self._tools.blobs, state.service)
        planned = ReplayPlan(found.records, len(found.items), round(found.seconds, 3), dict(found.skipped), items)
        log.info("replay.planned", replay_id=self._id, records=found.records, planned=len(found.items))
        await self._put(ReplayKind.PLANNED, plan=planned)
        if state.request.dry_run:
            await self._put(ReplayKind.FINISHED)

    async def _start_all(self, state: ReplayState, items: Sequence[Item], ends: Ends) -> bool:
        """Start what was not started; tell whether the replay is to go on."""
        left = items[self._progress.passed :]
        if not left:
            return True
        there = {head.job.job_id for head in await self._heads(state)}
        rate, window = state.request.rate, Window()
        async for batch in records_of(self._tools.bootstrap, left):
            while batch:
                if not await self._may_go_on():
                    return False
                open_jobs = self._progress.started - len(ends.statuses)
                room = min(window.room(open_jobs), _BATCH, rate or _BATCH)
                if room <= 0:
                    await self._look(ends, window)
                    continue
                began = time.monotonic()
                part, batch = batch[:room], batch[room:]
                started = await self._start(state, part, there)
                progress = self._progress
                self._progress = replace(
                    progress, passed=progress.passed + len(part), started=progress.started + started
                )
                await self._put(ReplayKind.PROGRESSED, progress=self._progress)
                if rate:
                    await asyncio.sleep(max(0.0, began + len(part) / rate - time.monotonic()))
        return True

    async def _look(self, ends: Ends, window: Window) -> None:
        """Wait for jobs to end; what was ordered meanwhile is looked at in between."""
        before = len(ends.statuses)
        await self._ended(ends)
        window.note(len(ends.statuses) - before, time.monotonic())
        if len(ends.statuses) == before:
            await self._tools.replays.changed(_LOOK_S)

    async def _ended(self, ends: Ends) -> None:
        statuses = await ends.advance()
        done = sum(status == JobStatus.DONE for status in statuses.values())
        progress = replace(self._progress, done=done, failed=len(statuses) - done)
        if progress != self._progress:
            self._progress = progress
            await self._put(ReplayKind.PROGRESSED, progress=progress)

    async def _start(self, state: ReplayState, part: Sequence[tuple[Item, bytes | None]], there: set[str]) -> int:
        jobs: list[NewJob] = []
        started = removed = 0
        purged = await self._purged()
        for item, value in part:
            if item.original in purged:
                continue  # since the plan was made
            is_there = replayed_id(self._id, item.original) in there
            # By a runner that did not live to say so; only its `accepted` may be missing.
            started += is_there
            try:
                job = await self._job(state, item, value)
            except (InvalidInput, UndecodableRecord) as e:
                log.info("replay.job_skipped", replay_id=self._id, job_id=item.original, code=e.code)
                continue
            refs = blob_refs(job.request.inputs)
            if not all([await self._tools.blobs.touch(ref) for ref in refs]) and not is_there:
                removed += 1
                log.info("replay.job_skipped", replay_id=self._id, job_id=item.original, code=REMOVED)
                continue
            jobs.append(job)
        fresh = [job for job in jobs if job.request.job.job_id not in there]
        # As with any job: the request first, then `accepted`; repeating an `accepted` changes nothing.
        await self._publish(Outgoing(j.topic, j.request.job.job_id, j.request, {}) for j in fresh)
        await self._publish(Outgoing(JOB_EVENTS, j.request.job.job_id, j.accepted, {}) for j in jobs)
        if removed:
            await self._skipped(removed)
        return started + len(fresh)

    async def _skipped(self, removed: int) -> None:
        state = self._state
        if state is not None and state.plan is not None:
            skipped = {**state.plan.skipped, REMOVED: state.plan.skipped.get(REMOVED, 0) + removed}
            await self._put(ReplayKind.PLANNED, plan=replace(state.plan, skipped=skipped))

    async def _stop(self, state: ReplayState) -> None:
        """Cancel the jobs that have not ended, as callers do: the end first, then what stops the work."""
        heads = {head.job.job_id: head for head in await self._heads(state)}
        ends = Ends(self._tools.bootstrap, self._tools.codec, frozenset(heads), state.started_at_ms)
        ended = await ends.advance()
        left = [head for job_id, head in heads.items() if job_id not in ended]
        now_ms = time.time_ns() // 1_000_000
        for start in range(0, len(left), _BATCH):
            part = [cancelled(head.job, head.steps, now_ms, {}) for head in left[start : start + _BATCH]]
            for records in zip(*part, strict=True):
                await self._publish(records)
        self._progress = state.progress
        await self._ended(ends)
        log.info("replay.stopped", replay_id=self._id, jobs=len(left))
        await self._put(ReplayKind.STOPPED)

    async def _purged(self) -> PurgedJobs:
        """Return the purged jobs, as the log has them now: nothing of them may be taken up again."""
        if not await self._tools.purged.refresh():
            raise Outage("the topic `purges` cannot be read now", code="purges_unavailable")
        return self._tools.purged

    async def _job(self, state: ReplayState, item: Item, value: bytes | None) -> NewJob:
        if value is None:
            raise UndecodableRecord("the record is gone")
        kind = record_of(item.topic, self._tools.stages)
        source: StageRequest | StageOutcome = await self._tools.decoder.decode(value, kind)
        now_ms = time.time_ns() // 1_000_000
        return new_job(self._id, state.request, source, self._tools.modules, self._tools.stages, now_ms)

    async def _heads(self, state: ReplayState) -> list[StageHead]:
        """Return the requests of this replay's jobs that are on their topics."""
        heads = stage_heads(StageRequest, self._tools.codec)
        topics = [s.requests["replay"].name for s in self._tools.stages.values()]
        ranges = await time_ranges(self._tools.bootstrap, topics, state.started_at_ms - _SKEW_MS, _FOR_EVER)
        found: list[StageHead] = []
        async for batch in read_offsets(self._tools.bootstrap, {p: (r.start, r.end) for p, r in ranges.items()}):
            for record in batch:
                head: StageHead | None = heads.read(record.value)
                if head is not None and replayed_id(self._id, head.job.replay_of) == head.job.job_id:
                    found.append(head)
        return found

    async def _may_go_on(self) -> bool:
        while True:
            state = self._state
            if state is None or not state.active:
                return False
            if state.status != ReplayStatus.PAUSED:
                return True
            await self._tools.replays.changed(_LOOK_S)

    async def _all_ended(self, ends: Ends) -> bool:
        while True:
            await self._ended(ends)
            if len(ends.statuses) >= self._progress.started:
                return await self._may_go_on()
            if not await self._may_go_on():
                return False
            await self._tools.replays.changed(_LOOK_S)

    async def _promote(self, state: ReplayState) -> None:
        tools = self._tools
        items = await items_of(state.plan, tools.blobs) if state.plan else []
        pairs = {item.original: replayed_id(self._id, item.original) for item in items}
        wanted = frozenset((*pairs, *pairs.values()))
        found = await read_outcomes(tools.bootstrap, tools.codec, self._id, wanted, 0)
        count = len(found.promoted)
        for start in range(0, len(items), AT_ONCE):
            part = [item.original for item in items[start : start + AT_ONCE] if item.original not in found.promoted]
            count += await self._promote_some({original: pairs[original] for original in part}, found)
        log.info("replay.promoted", replay_id=self._id, jobs=count)
        await self._put(ReplayKind.PROGRESSED, progress=replace(state.progress, promoted=count))
        await self._put(ReplayKind.PROMOTED)

    async def _promote_some(self, pairs: Mapping[str, str], found: Outcomes) -> int:
        purged = await self._purged()
        ends: dict[str, End] = {}
        for original, new in pairs.items():
            before, after = found.ended.get(original), found.ended.get(new)
            if before is None or after is None or original in purged or new in purged:
                continue
            if after.status == JobStatus.DONE:
                ends |= {original: before, new: after}
        results = await read_results(self._tools.bootstrap, self._tools.codec, ends)
        now_ms = time.time_ns() // 1_000_000
        records = [
            promotion(self._id, results[original], results[new], now_ms)
            for original, new in pairs.items()
            if original in results and new in results
        ]
        for start in range(0, len(records), _BATCH):
            await self._publish(one for pair in records[start : start + _BATCH] for one in pair)
        return len(records)

    async def _publish(self, records: Iterable[Outgoing]) -> None:
        every = list(records)
        if every:
            await self._tools.publisher.publish_many(every)

    async def _put(
        self, kind: ReplayKind, *, plan: ReplayPlan | None = None, progress: ReplayProgress | None = None
    ) -> None:
        await self._tools.replays.put(_event(self._id, kind, plan=plan, progress=progress))


def overlap_error(other: ReplayState) -> InvalidInput:
    """Return the refusal of a replay that would do what another is doing."""
    return InvalidInput(
        f"the replay {other.replay_id} is {other.status} over the same records with the same module and model",
        code="replay_overlaps",
        remedy="wait for it, cancel it, or choose another period, stage, module version or model",
    )


def _rank(state: ReplayState) -> tuple[int, str]:
    return state.started_at_ms, state.replay_id


def _event(
    replay_id: str,
    kind: ReplayKind,
    *,
    plan: ReplayPlan | None = None,
    progress: ReplayProgress | None = None,
    error: ErrorInfo | None = None,
) -> ReplayEvent:
    return ReplayEvent(
        event_id=event_id(replay_id, kind),
        replay_id=replay_id,
        kind=kind,
        at_ms=time.time_ns() // 1_000_000,
        by=RUNNER,
        plan=plan,
        progress=progress,
        error=error,
    )
