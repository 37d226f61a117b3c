"""A processor process that leaves: by SIGTERM with its work finished, and by the watchdog to be started again."""

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from cli.stack.ports import pick_free
from cli.stack.probes import readyz_probe
from cli.stack.services import Service
from cli.stack.supervisor import Supervisor
from schemas.events import JobRef, StageRequest
from schemas.topics import StageTopics
from streams.log.admin import kafka_admin
from streams.runtime.processor import Context, Result
from tests.builders import beside, job_ref, own_stage, stage_request
from tests.integration.worker_harness import Bench, bench, partition_of_job
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka


class Held:
    """A request whose handler waits for `until`, and tells in `began` of each attempt at it."""

    def __init__(self, stage: StageTopics, folder: Path, job: JobRef | None = None) -> None:
        job = job or job_ref()
        name = uuid4().hex
        self.began, self.until = folder / f"{name}.began", folder / f"{name}.until"
        files = {"began": str(self.began), "until": str(self.until)}
        self.request: StageRequest = stage_request(stage.kind, job=job, options=orjson.dumps(files).decode())

    @property
    def attempts(self) -> list[str]:
        """The attempts that were begun."""
        return self.began.read_text().split() if self.began.exists() else []


def environment(kafka: str, redis_url: str, folder: Path, port: int) -> dict[str, str]:
    """What a process of ours is told."""
    return {
        **os.environ,
        "GATEWAY_DATA_DIR": str(folder),
        "GATEWAY_KAFKA_BOOTSTRAP": kafka,
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_METRICS_PORT": str(port),
    }


def command(stage: StageTopics, *more: str) -> tuple[str, ...]:
    """What starts it."""
    return (sys.executable, "-m", "tests.integration.stage_process", stage.kind, *more)


def start(stage: StageTopics, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start it."""
    return subprocess.Popen(command(stage), env=env)


async def at_once(request: StageRequest, _: Context) -> Result:
    """Give back what came."""
    return Result(request.inputs)


async def told(port: int, reason: str) -> bool:
    """Whether the process says for this reason that it does not serve."""
    return await readyz_probe(port)() == ("unavailable", reason)


async def committed(it: Bench, stage: StageTopics) -> int:
    """How many records of the stage are committed."""
    async with kafka_admin(it.bootstrap) as admin:
        return sum(row.committed or 0 for row in await admin.lag() if row.group == f"processor.{stage.kind}")


async def test_sigterm_finishes_and_commits_what_is_in_work_and_begins_nothing_more(
    kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    stage, port = own_stage(), pick_free()
    async with bench(kafka, stage) as it:
        working = [Held(stage, tmp_path) for _ in range(8)]  # as many as are in work at a time
        waiting = Held(stage, tmp_path, beside(working[0].request.job))
        process = start(stage, environment(kafka, redis_url, tmp_path, port))
        try:
            await it.send(*(held.request for held in working))
            await wait_until(lambda: all(held.attempts for held in working))
            await it.send(waiting.request)
            process.terminate()
            await wait_until(lambda: told(port, "stopping"))
            for held in working:
                held.until.touch()
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            process.kill()
            process.wait()
        for held in working:
            assert (await it.result(held.request)).attempt == 1
        assert await committed(it, stage) == 8
        assert not waiting.attempts
        assert len(it.records.results(working[0].request.job.job_id)) == 1

        async with it.worker(at_once):
            await it.until(lambda: len(it.records.results(waiting.request.job.job_id)) == 2)
        assert all(held.attempts == ["1"] for held in working), "nothing was repeated"


@asynccontextmanager
async def supervised(service: Service, folder: Path):
    """Run the local stack's supervisor with one service."""

    async def nothing() -> None:
        return

    def log_of(name: str) -> Path:
        return folder / f"{name}.log"

    supervisor = Supervisor([service], nothing, log_of=log_of, state_file=folder / "state.json", stop_grace_s=10)
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    try:
        yield supervisor
    finally:
        stop.set()
        await running


async def test_a_consumer_that_stands_still_is_not_ready_leaves_with_70_and_is_started_again(
    kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    stage, port = own_stage(), pick_free()
    stalled, flowing = job_ref(), job_ref()
    while partition_of_job(stage, flowing) == partition_of_job(stage, stalled):
        flowing = job_ref()
    held, unheard = Held(stage, tmp_path, flowing), stage_request(stage.kind, job=stalled)
    where = f"{stage.requests['interactive'].name}/{partition_of_job(stage, stalled)}"
    told: list[tuple[str, str, int, int | None]] = []
    async with bench(kafka, stage) as it:
        service = Service(
            name=stage.kind,
            kind=stage.kind,
            command=command(stage, str(tmp_path / "mark"), str(partition_of_job(stage, stalled))),
            port=port,
            probe=readyz_probe(port),
            env=environment(kafka, redis_url, tmp_path, port),
        )
        async with supervised(service, tmp_path) as supervisor:

            def look() -> tuple[str, str, int, int | None]:
                (status,) = supervisor.states
                told.append((status.state, status.reason, status.restarts, status.pid))
                return told[-1]

            await wait_until(lambda: look()[0] == "ready")
            first = look()[3]
            await it.send(held.request)
            await wait_until(lambda: held.attempts)
            await it.send(unheard)
            # While it drains: its work goes on for 3 s, and it says already that it does not serve.
            await wait_until(lambda: look()[0] == "unavailable")
            _, reason, restarts, pid = told[-1]
            assert f"1 records of {where} wait" in reason
            assert (restarts, pid) == (0, first)
            await wait_until(lambda: look()[1].startswith("exit code 70"))
            await wait_until(lambda: look()[0] == "ready" and told[-1][2] == 1)
            held.until.touch()
            assert (await it.result(unheard)).status == "done"
            assert (await it.result(held.request)).attempt == 1, "that it was broken off costs no attempt"
            assert look()[3] not in (None, first)
