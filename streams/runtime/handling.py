"""One attempt at one request, and the records that follow from it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from schemas.codec import Codec
from schemas.errors import GatewayError, Outage, Permanent, Transient, WorkFailed
from schemas.events import Progress, StageRequest, UsageEvent
from schemas.job_trace import trace_id_of
from schemas.pipelines import final_result, next_request
from schemas.topics import JOB_EVENTS, RESULTS, USAGE_EVENTS, StageTopics, Topic
from streams.log.dead_letters import dead_letter
from streams.log.protocols import Decoder, Headers, Outgoing, Publisher, Raw
from streams.logs import get_logger, places_of
from streams.metrics import STAGE_DEAD_LETTERS
from streams.runtime.assignment import Work
from streams.runtime.cancelled_jobs import CancelledJobs
from streams.runtime.children import WORK_TIMED_OUT
from streams.runtime.context import Children, WorkContext
from streams.runtime.processor import Processor, Result, SpentWork
from streams.runtime.records import (
    done_event,
    failed_event,
    failed_result,
    progress_event,
    stage_outcome,
    started_event,
    usage_event,
    wasted_events,
)
from streams.runtime.retry import DeadLetter, Decision, decide
from streams.runtime.solitude import Solitude
from streams.runtime.spent import used_by
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import RECORD_LIMIT, RESULT_LIMIT, check_in
from streams.tracing import traced

log = get_logger(__name__)

T = TypeVar("T")

# Work shorter than this leaves no `stage_started` and no progress: its outcome carries its start.
NOTABLE_S = 0.2
_PROGRESS_EVERY_S = 0.5
_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What the workers of one process share."""

    publisher: Publisher
    blobs: BlobStore
    children: Children
    codec: Codec
    decoder: Decoder
    cancelled: CancelledJobs
    pools: Mapping[str, Children] = field(default_factory=dict[str, Children])
    solitude: Solitude = field(default_factory=Solitude)


class Handling:
    """Runs a processor's handler and writes what follows.

    `commit_attempts` returns when the attempts begun so far are committed; `hold` is told when an
    outage keeps something from being written, and when that is over; `progressed` when a work gets on.
    """

    def __init__(
        self,
        processor: Processor,
        tools: Tools,
        stages: Mapping[str, StageTopics],
        *,
        commit_attempts: Callable[[], Awaitable[None]],
        hold: Callable[[int], None],
        progressed: Callable[[], None],
    ) -> None:
        self._processor = processor
        self._tools = tools
        self._stages = stages
        self._commit_attempts = commit_attempts
        self._hold = hold
        self._progressed = progressed
        self._background: set[asyncio.Task[None]] = set()

    async def attempt(self, work: Work) -> Result | Decision:
        """Run the handler once. `work.attempt` is the attempt's number, already counted."""
        if work.attempt > self._processor.retry.attempts:
            error = WorkFailed(
                f"its process died in each of {work.attempt - 1} attempts",
                code="worker_lost",
                remedy="look at the input; then replay the dead letter",
            )
            return DeadLetter(error)
        if work.suspect:
            await self._commit_attempt(work)
        job = work.request.job
        try:
            with traced(carried_on(work), job_id=job.job_id, service=job.service):
                return await self._run(work)
        except GatewayError as e:
            error = e
        except TimeoutError:
            longest_s = self._processor.attempt_timeout_s
            error = Transient(f"the attempt got nowhere within {longest_s:g} s", code=WORK_TIMED_OUT)
        except asyncio.CancelledError as e:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled the attempt: something that the handler waited for was cancelled, by itself or a library.
            error = _raised(work, e)
        except Exception as e:
            error = _raised(work, e)
        return decide(error, work.attempt, self._processor.retry, random.random())  # noqa: S311 - jitter

    async def _run(self, work: Work) -> Result:
        request = work.request
        if request.step.kind != self._processor.topics.kind:
            raise Permanent(
                f"the request is for {request.step.kind!r}, its topic for {self._processor.topics.kind!r}",
                code="misrouted_request",
            )
        latest: list[Progress] = []
        furthest = 0
        told_at = 0.0
        notable = False

        def started() -> None:
            nonlocal notable
            notable = True
            self._inform(work, started_event(request, work.attempt, work.started_ms))
            if latest:
                on_progress(latest[-1])

        def on_progress(progress: Progress) -> None:
            nonlocal told_at, furthest
            latest[:] = [progress]
            if progress.done > furthest:
                # However long an input is: what is bounded is how long nothing of it gets done.
                furthest = progress.done
                self._progressed()
                if limit.when() is not None and not limit.expired():
                    limit.reschedule(loop.time() + self._processor.attempt_timeout_s)
            now = time.monotonic()
            if notable and now - told_at >= _PROGRESS_EVERY_S:
                told_at = now
                self._inform(work, progress_event(request, progress, work.started_ms, _now_ms()))

        loop = asyncio.get_running_loop()
        committing = asyncio.Lock()
        limit = asyncio.timeout(self._processor.attempt_timeout_s)

        async def before_call() -> None:
            async with committing:
                if work.attempt_committed:
                    return
                # While the log is down the attempt stands still, and so does its time.
                left = (limit.when() or loop.time()) - loop.time()
                limit.reschedule(None)
                try:
                    await self._commit_attempt(work)
                finally:
                    limit.reschedule(loop.time() + left)

        context = WorkContext(
            self._processor,
            request,
            work.attempt,
            self._tools.blobs,
            self._tools.children,
            pools=self._tools.pools,
            on_progress=on_progress,
            on_spent=partial(setattr, work, "spent"),
            before_call=before_call,
        )
        timer = loop.call_later(NOTABLE_S, started)
        try:
            async with limit:
                return await self._processor.handle(request, context)
        finally:
            timer.cancel()

    async def _commit_attempt(self, work: Work) -> None:
        # Before anything that can kill: else the attempt would be forgotten with the process.
        if not work.attempt_committed:
            await self._commit_attempts()
            work.attempt_committed = True

    async def publish_done(self, work: Work, result: Result) -> None:
        """Write the outcome, what comes next (request or result), the event and the usage, all acknowledged.

        Raises Permanent when the broker will never take them.
        """
        request, now = work.request, _now_ms()
        service, blobs = request.job.service, self._tools.blobs
        outputs = result.outputs
        last = request.position + 1 >= len(request.steps)
        limit = RESULT_LIMIT if last else RECORD_LIMIT
        if any(payload.size > limit for payload in outputs):
            checked = [await self.patiently(lambda p=p: check_in(p, blobs, service, limit)) for p in outputs]
            outputs = tuple(checked)
        outcome = stage_outcome(request, work.attempt, result, outputs, work.started_ms, now)
        key, headers = request.job.job_id, carried_on(work)
        records: list[Outgoing | Raw] = []
        if self._processor.topics.done is not None:
            records.append(Outgoing(self._processor.topics.done, key, outcome, headers))
        following = next_request(request, outcome, now)
        if following is None:
            ended = final_result(request, outcome, outputs[0] if outputs else None)
            records.append(Outgoing(RESULTS, key, ended, headers))
        else:
            records.append(Outgoing(self._request_topic(following), key, following, headers))
        used = usage_event(
            request,
            work.attempt,
            "done",
            outcome.usage,
            now,
            model=result.model,
            upstream=result.upstream,
            final=following is None,
            started_ms=work.started_ms,
        )
        records.append(Outgoing(JOB_EVENTS, key, done_event(request, outcome), headers))
        records += [Outgoing(USAGE_EVENTS, key, each, headers) for each in (used, *wasted_events(used, result))]
        await self.patiently(lambda: self._tools.publisher.publish_many(records))

    async def publish_failed(self, work: Work, error: GatewayError) -> None:
        """Write the dead letter, the job's failed result, the event and the usage, all acknowledged."""
        request, now = work.request, _now_ms()
        spent = error.spent if isinstance(error, SpentWork) else used_by(work, now)
        usage = spent.usage
        key, headers = request.job.job_id, carried_on(work)
        attempt = min(work.attempt, self._processor.retry.attempts)
        letter = dead_letter(
            work.record,
            stage=self._processor.topics.kind,
            attempts=attempt,
            error=error,
            service=request.job.service,
            at_ms=now,
        )
        started = work.started_ms
        ended = replace(failed_result(request, attempt, error, usage, started, now), artifacts=spent.artifacts)
        used = usage_event(
            request,
            attempt,
            "failed",
            usage,
            now,
            model=spent.model,
            upstream=spent.upstream,
            final=True,
            started_ms=started,
        )
        records: list[Outgoing | Raw] = [
            letter,
            Outgoing(RESULTS, key, ended, headers),
            Outgoing(JOB_EVENTS, key, failed_event(request, attempt, error, usage, started, now), headers),
            *(Outgoing(USAGE_EVENTS, key, each, headers) for each in (used, *wasted_events(used, spent))),
        ]
        await self.patiently(lambda: self._tools.publisher.publish_many(records))
        STAGE_DEAD_LETTERS.labels(work.record.topic, error.code).inc()
        log.warning("work.dead_lettered", **_about(work), code=error.code, reason=error.message)

    async def publish_usage(self, work: Work, events: Sequence[UsageEvent]) -> None:
        """Write what a request used, however long the log is down."""
        headers = carried_on(work)
        records = [Outgoing(USAGE_EVENTS, work.request.job.job_id, event, headers) for event in events]
        if records:
            await self.patiently(lambda: self._tools.publisher.publish_many(records))

    async def publish_raw(self, letter: Raw) -> None:
        """Write a dead letter, however long the log is down."""
        await self.patiently(lambda: self._tools.publisher.publish_raw(*letter))

    async def settle(self, work: Work) -> None:
        """Let the processor put away what the attempts kept. Raises nothing: the work itself is done."""
        if self._processor.settle is None:
            return
        try:
            await self._processor.settle(work.request)
        except Exception as e:
            # Only the class: the text of a foreign exception may quote the document.
            log.warning("work.not_settled", **_about(work), error=type(e).__name__)

    async def patiently(self, write: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Repeat `write` until no outage stops it: finished work is not done again for want of a log."""
        held = False
        try:
            while True:
                try:
                    return await write()
                except Outage as e:
                    log.warning("publish.waits", stage=self._processor.topics.kind, code=e.code, reason=e.message)
                    if not held:
                        held = True
                        self._hold(1)
                    await asyncio.sleep(_PATIENCE_S)
        finally:
            if held:
                self._hold(-1)

    async def close(self) -> None:
        """Wait for the events that are on their way."""
        await asyncio.gather(*self._background, return_exceptions=True)

    def _request_topic(self, request: StageRequest) -> Topic:
        stage = self._stages.get(request.step.kind)
        if stage is None:
            raise Permanent(
                f"no processor has the kind {request.step.kind!r}",
                code="unknown_stage",
                remedy="correct the module's steps",
            )
        lanes = stage.requests
        return lanes.get(request.job.lane) or next(iter(lanes.values()))

    def _inform(self, work: Work, event: object) -> None:
        """Write an event that only informs: nobody waits for it, and an outage loses it."""
        task = asyncio.create_task(self._try_publish(work, event))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _try_publish(self, work: Work, event: object) -> None:
        try:
            headers = carried_on(work)
            await self._tools.publisher.publish(JOB_EVENTS, work.request.job.job_id, event, headers)
        except GatewayError as e:
            log.info("event.not_written", **_about(work), code=e.code)


_PASSED_ON = ("traceparent", "tracestate")


def passed_on(headers: Headers) -> Headers:
    """Return the headers that every record of a job carries on."""
    return {name: headers[name] for name in _PASSED_ON if name in headers} if headers else headers


def carried_on(work: Work) -> Headers:
    """Return the headers of the records that follow from a work: the span of the work in place of its request's."""
    headers = passed_on(work.record.headers)
    return {**headers, "traceparent": work.span.traceparent.encode()} if work.span.traceparent else headers


def _raised(work: Work, e: BaseException) -> Transient:
    # Only the class: the text of a foreign exception may quote the document.
    log.error("handler.raised", **_about(work), error=type(e).__name__, places=places_of(e))
    return Transient(f"the handler raised {type(e).__name__}", code="internal_error")


def _about(work: Work) -> dict[str, Any]:
    record = work.record
    return {
        "job_id": work.request.job.job_id,
        "service": work.request.job.service,
        "trace_id": trace_id_of(record.headers),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "attempt": work.attempt,
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
