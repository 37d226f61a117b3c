"""The chaos run's checker on a real log: a worker that breaks a promise on purpose makes it fail."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from bench.chaos.checker import Verdict, check
from bench.chaos.journal import Journal, Planned, read_account
from schemas.events import JobEvent, JobEventKind, StageRequest
from schemas.ids import event_id
from schemas.topics import JOB_EVENTS
from streams.log.admin import kafka_admin
from streams.log.protocols import Outgoing
from tests.builders import job_ref, now_ms, own_stage, stage_request
from tests.integration.worker_harness import Bench, bench
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

JOBS = 12
# Lost work never ends; work that is repeated has to.
SLOW_MS = {"broken": 60_000, "sound": 8_000}
ROOT = Path(__file__).resolve().parents[2]


def start(it: Bench, how: str) -> subprocess.Popen[bytes]:
    """Start a worker in a process of its own."""
    command = [sys.executable, "-m", "tests.integration.broken_worker", it.bootstrap, it.stage.kind, how]
    return subprocess.Popen(command, cwd=ROOT)


async def submit(it: Bench, service: str, journal: Journal, slow_ms: int) -> list[StageRequest]:
    """Put jobs on the log as ingress does, and into the journal; every third one takes long."""
    requests: list[StageRequest] = []
    for n in range(JOBS):
        job = job_ref(service=service, module="probe")
        request = stage_request(it.stage.kind, job=job, options=f'{{"sleep_ms":{slow_ms}}}' if n % 3 == 0 else "{}")
        accepted = JobEvent(event_id(job.job_id, 0, "accepted"), job, JobEventKind.ACCEPTED, request.steps, now_ms())
        journal.plan(Planned(job.job_id, service, "probe", 0.0, text_bytes=5))
        await it.send(request)
        await it.tools.publisher.publish_many([Outgoing(JOB_EVENTS, job.job_id, accepted, {})])
        journal.acknowledge(job.job_id)
        requests.append(request)
    return requests


async def kill_in_the_middle(it: Bench, folder: Path, how: str, wait_until: WaitUntil) -> Verdict:
    """Kill a worker while a third of its jobs is in work, let a sound one go on, and check."""
    service = f"chaos-{uuid4().hex[:8]}"
    with Journal(folder / "journal") as journal:
        requests = await submit(it, service, journal, SLOW_MS[how])
    quick = [r for r in requests if r.options == "{}"]
    first = start(it, how)
    try:
        await it.until(lambda: all(it.records.results(r.job.job_id) for r in quick), timeout_s=60)

        async def committed() -> bool:
            async with kafka_admin(it.bootstrap) as admin:
                rows = [row for row in await admin.lag() if row.group == f"processor.{it.stage.kind}"]
            # What a sound worker may commit depends on where the slow ones lie; a broken one commits all.
            return bool(rows) and (how == "sound" or sum(row.lag for row in rows) == 0)

        await wait_until(committed, 30)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    second = start(it, "sound")
    try:
        if how == "sound":
            await it.until(lambda: all(it.records.results(r.job.job_id) for r in requests), timeout_s=80)
        else:
            # A job of now, on each partition: when they are done, the worker is past whatever it was to read.
            late = [stage_request(it.stage.kind, job=job_ref()) for _ in range(32)]
            await it.send(*late)
            await it.until(lambda: all(it.records.results(r.job.job_id) for r in late), timeout_s=60)
    finally:
        second.send_signal(signal.SIGTERM)
        await asyncio.to_thread(second.wait)
    return await check(it.bootstrap, read_account(folder / "journal"))


@pytest.mark.timeout(180)
async def test_a_worker_that_commits_past_unfinished_work_is_found_out(
    kafka: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    async with bench(kafka, own_stage()) as it:
        verdict = await kill_in_the_middle(it, tmp_path, "broken", wait_until)
    assert not verdict.kept
    assert len(verdict.lost) == JOBS // 3
    assert verdict.usage


@pytest.mark.full
@pytest.mark.timeout(180)
async def test_a_sound_worker_that_is_killed_in_the_same_place_passes(
    kafka: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    async with bench(kafka, own_stage()) as it:
        verdict = await kill_in_the_middle(it, tmp_path, "sound", wait_until)
    assert verdict.kept, verdict.sentences()
