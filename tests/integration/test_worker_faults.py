"""What goes wrong costs attempts or waits; it never stops a partition and never loses a request."""

import asyncio
import signal
import subprocess
import sys

import pytest

from schemas.errors import Outage, Transient
from schemas.events import JobControl, StageRequest
from schemas.payloads import text_payload
from schemas.topics import JOB_CONTROL, StageTopics
from streams.log.admin import kafka_admin
from streams.runtime import kafka_subscriber
from streams.runtime.processor import Context, Result
from tests.builders import beside, now_ms, own_stage, stage_request
from tests.integration.worker_harness import Bench, Gate, bench
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

CHILD = "tests.unit.runtime.child_functions"


async def echo(request: StageRequest, context: Context) -> Result:
    return Result(request.inputs)


async def test_a_garbage_record_goes_to_the_dead_letter_topic_and_the_next_is_done(kafka: str) -> None:
    stage = own_stage()
    topic = stage.requests["interactive"]
    async with bench(kafka, stage) as it, it.worker(echo) as worker:
        request = stage_request(stage.kind)
        key = request.job.job_id.encode()
        await it.tools.publisher.publish_raw(topic.name, key, b"garbage", {"traceparent": b"t"})
        await it.tools.publisher.publish_raw(topic.name, key, b"\xc3\x01unknown!body", {})
        await it.tools.publisher.publish_raw(topic.name, key, None, {})
        await it.send(request)
        assert (await it.result(request)).status == "done"
        await it.until(lambda: len(it.records.raw[topic.dead_letters]) == 3)
        letters = it.records.raw[topic.dead_letters]
        assert {letter.value for letter in letters} == {b"garbage", b"\xc3\x01unknown!body", None}
        first = next(letter for letter in letters if letter.value == b"garbage")
        headers = dict(first.headers)
        assert first.key == key
        assert headers["dlt.topic"] == topic.name.encode()
        assert headers["dlt.stage"] == stage.kind.encode()
        assert headers["dlt.error.code"] == b"undecodable_record"
        assert headers["traceparent"] == b"t"
        assert set(headers) >= {
            "dlt.partition",
            "dlt.offset",
            "dlt.attempts",
            "dlt.error.message",
            "dlt.service",
            "dlt.time",
        }
        assert len(it.records.results(request.job.job_id)) == 1
        assert worker.unavailable == ""


async def test_a_transient_failure_is_repeated_and_the_wasted_attempts_are_told_apart(kafka: str) -> None:
    stage = own_stage()

    async def third_time(request: StageRequest, context: Context) -> Result:
        if context.attempt < 3:
            raise Transient("not yet")
        return Result(request.inputs)

    async with bench(kafka, stage) as it, it.worker(third_time):
        request = stage_request(stage.kind)
        await it.send(request)
        assert (await it.result(request)).attempt == 3
        usage = await it.until(lambda: u if len(u := it.records.usage(request.job.job_id)) == 3 else None)
        assert {(u.attempt, u.waste) for u in usage} == {(1, True), (2, True), (3, False)}
        assert len({u.event_id for u in usage}) == 3


@pytest.mark.parametrize(
    ("function", "args", "code"),
    [
        ("crash", (), "worker_crashed"),
        ("hang", (60,), "work_timed_out"),
        ("hog", (400,), "work_out_of_memory"),
        ("foreign", (), "internal_error"),
    ],
)
async def test_work_that_kills_its_child_is_given_up_while_its_neighbours_finish(
    kafka: str, function: str, args: tuple[object, ...], code: str
) -> None:
    stage = own_stage()
    topic = stage.requests["interactive"]

    async def handler(request: StageRequest, context: Context) -> Result:
        if request.options != "{}":
            await context.call(f"{CHILD}:{function}", *args)
        return Result(request.inputs)

    options = {"child_timeout_s": 1.0 if function == "hang" else 20.0, "child_memory_bytes": 200 << 20}
    async with bench(kafka, stage) as it, it.worker(handler, **options):
        killer = stage_request(stage.kind, options='{"kill": true}')
        neighbours = [stage_request(stage.kind, job=beside(killer.job)) for _ in range(5)]
        await it.send(killer, *neighbours)
        results = await it.until(lambda: r if len(r := it.records.results(killer.job.job_id)) == 6 else None)
        assert [r.status for r in results].count("done") == 5
        [failed] = [r for r in results if r.status == "failed"]
        assert failed.error is not None
        assert (failed.error.code, failed.error.stage, failed.attempt) == (code, stage.kind, 3)
        [letter] = await it.until(lambda: it.records.raw[topic.dead_letters])
        assert letter.value == it.tools.codec.encode(killer)
        assert dict(letter.headers)["dlt.attempts"] == b"3"
        assert dict(letter.headers)["dlt.service"] == b"mail-room"
        events = await it.until(lambda: [e for e in it.records.events(killer.job.job_id) if e.kind == "failed"])
        assert events[0].error == failed.error


async def test_an_outage_burns_no_attempt_and_holds_everything_back(kafka: str, wait_until: WaitUntil) -> None:
    stage, attempts, down = own_stage(), [], [True]

    async def handler(request: StageRequest, context: Context) -> Result:
        attempts.append(context.attempt)
        if down[0]:
            raise Outage("the upstream is down", code="upstream_down")
        return Result(request.inputs)

    async with bench(kafka, stage) as it, it.worker(handler, concurrency=1) as worker:
        requests = [stage_request(stage.kind) for _ in range(10)]
        await it.send(*requests)
        await wait_until(lambda: len(attempts) >= 3)  # the first, and two probes
        assert worker.unavailable == "the upstream is down"
        down[0] = False
        for request in requests:
            assert (await it.result(request)).attempt == 1
        assert set(attempts) == {1}
        assert len(attempts) <= len(requests) + 4
        assert worker.unavailable == ""


async def test_a_blob_store_that_is_down_delays_the_result_but_repeats_no_work(
    kafka: str, wait_until: WaitUntil
) -> None:
    stage, calls = own_stage(), []

    async def large(request: StageRequest, context: Context) -> Result:
        calls.append(1)
        it.blobs.down = True
        return Result((text_payload("x" * 20_000),))

    async with bench(kafka, stage) as it, it.worker(large) as worker:
        request = stage_request(stage.kind)
        await it.send(request)
        await wait_until(lambda: worker.unavailable)
        it.blobs.down = False
        assert (await it.result(request)).status == "done"
        assert calls == [1]


async def cancel(it: Bench, job_id: str) -> None:
    control = JobControl(f"{job_id}:cancel", job_id, "mail-room", "cancel", now_ms())
    await it.tools.publisher.publish(JOB_CONTROL, job_id, control)


async def test_cancelled_work_is_stopped_and_queued_work_never_starts(kafka: str, wait_until: WaitUntil) -> None:
    stage, gate, stopped = own_stage(), Gate(), []

    async def handler(request: StageRequest, context: Context) -> Result:
        await gate.note(request.job.job_id)
        if request.options != "{}":
            try:
                await context.call(f"{CHILD}:hang", 60)
            except asyncio.CancelledError:
                stopped.append(request.job.job_id)
                raise
        return Result(request.inputs)

    async with bench(kafka, stage) as it, it.worker(handler, concurrency=1) as worker:
        running, queued = stage_request(stage.kind, options='{"hang": true}'), stage_request(stage.kind)
        await it.send(running)
        await gate.until(lambda came: running.job.job_id in came)
        await it.send(queued)
        await cancel(it, queued.job.job_id)
        await wait_until(lambda: queued.job in it.tools.cancelled)
        await cancel(it, running.job.job_id)
        [usage] = await it.until(lambda: it.records.usage(running.job.job_id))
        assert (usage.outcome, usage.attempt) == ("cancelled", 1)
        last = stage_request(stage.kind)
        await it.send(last)
        await it.result(last)
        assert stopped == [running.job.job_id]
        assert queued.job.job_id not in gate.came
        assert not it.records.results(running.job.job_id)
        assert not it.records.results(queued.job.job_id)
        await wait_until(lambda: all(h.offsets is None or not h.offsets.unfinished for h in worker.held.values()))


def start_process(kafka: str, **handlers: StageTopics) -> subprocess.Popen[bytes]:
    served = [f"{stage.kind}={handler}" for handler, stage in handlers.items()]
    program = [sys.executable, "-m", "tests.integration.worker_process", kafka, *served]
    return subprocess.Popen(program, stderr=subprocess.DEVNULL)


@pytest.mark.full
async def test_work_that_kills_the_whole_process_is_given_up_and_its_neighbours_are_done(kafka: str) -> None:
    stage = own_stage()
    async with bench(kafka, stage) as it:
        killer = stage_request(stage.kind, options='{"kill": true}')
        others = [stage_request(stage.kind, job=beside(killer.job)) for _ in range(5)]
        await it.send(killer, *others)
        deaths = 0
        process = start_process(kafka, killer=stage)
        try:
            async with asyncio.timeout(100):
                while not any(r.status == "failed" for r in it.records.results(killer.job.job_id)):
                    if process.poll() is not None:
                        assert process.returncode == -signal.SIGKILL
                        deaths += 1
                        process = start_process(kafka, killer=stage)
                    await asyncio.sleep(0.05)
            await it.until(lambda: {r.status for r in it.records.results(killer.job.job_id)} == {"done", "failed"})
            done = await it.until(
                lambda: (
                    d if len(d := [r for r in it.records.results(killer.job.job_id) if r.status == "done"]) >= 5 else 0
                )
            )
            [failed] = [r for r in it.records.results(killer.job.job_id) if r.status == "failed"]
            assert failed.error is not None
            assert failed.error.code == "worker_lost"
            # Uncounted at most once: the first crash is what makes the records suspects.
            assert 3 <= deaths <= 4
            assert len(done) >= 5
        finally:
            process.kill()
            process.wait()


@pytest.mark.full
async def test_long_work_beside_what_kills_their_process_is_done(kafka: str) -> None:
    """Of two stages in one process: each is there alone after two deaths, so that the third tells which one it was."""
    one, two = own_stage(), own_stage()
    async with bench(kafka, one, two) as it:
        killer, long = stage_request(one.kind), stage_request(two.kind)
        await it.tools.publisher.publish(two.requests["interactive"], long.job.job_id, long)
        await it.send(killer)
        process = start_process(kafka, killer_beside=one, long=two)
        try:
            async with asyncio.timeout(100):
                while not (it.records.results(killer.job.job_id) and it.records.results(long.job.job_id)):
                    if process.poll() is not None:
                        process = start_process(kafka, killer_beside=one, long=two)
                    await asyncio.sleep(0.05)
            [failed], [done] = it.records.results(killer.job.job_id), it.records.results(long.job.job_id)
            assert failed.error is not None
            assert (failed.error.code, done.status) == ("worker_lost", "done")
            assert done.attempt <= 3
        finally:
            process.kill()
            process.wait()


async def test_work_of_a_killed_process_is_taken_over_and_nothing_is_lost(kafka: str) -> None:
    stage = own_stage()
    async with bench(kafka, stage) as it:
        requests = [stage_request(stage.kind) for _ in range(200)]
        await it.send(*requests)
        victim = start_process(kafka, slow=stage)
        await it.until(lambda: len(it.records.raw["results"]) > 20, timeout_s=60)
        victim.kill()
        victim.wait()
        heir = start_process(kafka, slow=stage)
        try:
            wanted = {r.job.job_id.encode() for r in requests}
            await it.until(lambda: wanted <= {r.key for r in it.records.raw["results"]}, timeout_s=60)
            heir.terminate()
            assert await asyncio.to_thread(heir.wait, 30) == 0
        finally:
            heir.kill()
            heir.wait()


async def test_work_longer_than_the_group_s_timeouts_is_done_once_beside_a_second_worker(
    kafka: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, begun = own_stage(), []
    monkeypatch.setattr(kafka_subscriber, "_MAX_POLL_INTERVAL_MS", 3_000)
    longer_s = max(kafka_subscriber._SESSION_MS, kafka_subscriber._MAX_POLL_INTERVAL_MS) / 1000 + 2

    async def long(request: StageRequest, context: Context) -> Result:
        begun.append((request.job.job_id, context.attempt))
        await context.call(f"{CHILD}:hang", longer_s)
        return Result(request.inputs)

    async with bench(kafka, stage) as it, it.worker(long) as first, it.worker(long) as second:
        await wait_until(lambda: first.held and second.held and len(first.held) + len(second.held) == 24)
        before = [(worker.assigned_at, set(worker.held)) for worker in (first, second)]
        request = stage_request(stage.kind)
        await it.send(request)
        assert (await it.result(request)).attempt == 1
        [usage] = await it.until(lambda: it.records.usage(request.job.job_id))
        assert usage.usage.work_seconds >= longer_s
        async with kafka_admin(kafka) as admin:

            async def committed() -> bool:
                return any((row.group, row.committed, row.lag) == (first.group, 1, 0) for row in await admin.lag())

            await wait_until(committed)  # which takes a member that the broker never gave up
        assert begun == [(request.job.job_id, 1)]
        assert [(worker.assigned_at, set(worker.held)) for worker in (first, second)] == before, "no rebalance"
        assert len(it.records.results(request.job.job_id)) == 1


async def test_a_second_worker_shares_the_partitions(kafka: str, wait_until: WaitUntil) -> None:
    stage, gate = own_stage(), Gate()

    async def handler(request: StageRequest, context: Context) -> Result:
        await gate.enter(request.job.job_id)
        return Result(request.inputs)

    async with bench(kafka, stage) as it, it.worker(handler, concurrency=64) as first:
        requests = [stage_request(stage.kind) for _ in range(24)]
        await it.send(*requests)
        await gate.until(lambda came: len(came) == 24)
        async with it.worker(handler, concurrency=64) as second:
            await wait_until(lambda: second.held and len(first.held) + len(second.held) == 24)
            gate.opened.set()
            for request in requests:
                await it.result(request)
    # Work of the partitions that stayed went on; only that of those that moved began again.
    again = len(gate.came) - 24
    assert again < 24
    assert all(len({r.event_id for r in it.records.results(q.job.job_id)}) == 1 for q in requests)
