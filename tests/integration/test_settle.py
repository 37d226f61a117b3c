"""What attempts kept is put away once a request is over for good, on real Kafka."""

import pytest

from schemas.errors import InvalidInput, Transient
from schemas.events import JobControl, StageRequest
from schemas.topics import JOB_CONTROL
from streams.log.protocols import Partition
from streams.runtime.processor import Context, Result
from tests.builders import now_ms, own_stage, stage_request
from tests.integration.worker_harness import Gate, bench
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka


async def test_every_end_settles_once_after_the_commit(kafka: str, wait_until: WaitUntil) -> None:
    """Done, failed and cancelled; not an attempt that is repeated. An error in it stops nothing."""
    stage, gate = own_stage(), Gate()
    settled: list[tuple[str, bool]] = []
    places: dict[str, tuple[Partition, int]] = {}

    async def handler(request: StageRequest, context: Context) -> Result:
        for held in worker.held.values():
            places.update({work.request.job.job_id: (held.partition, work.offset) for work in held.works.values()})
        if context.attempt == 1 and "once" in request.options:
            raise Transient("once", code="once")
        if "bad" in request.options:
            raise InvalidInput("bad", code="bad")
        if "wait" in request.options:
            await gate.enter(request.job.job_id)
        return Result(request.inputs)

    async def settle(request: StageRequest) -> None:
        partition, offset = places[request.job.job_id]
        committed = worker.held[partition].committed
        settled.append((request.job.job_id, committed is not None and committed.offset > offset))
        raise RuntimeError("what it raises is only logged")

    async with bench(kafka, stage) as it, it.worker(handler, settle=settle) as worker:
        repeated = stage_request(stage.kind, options='{"once": true}')
        refused = stage_request(stage.kind, options='{"bad": true}')
        stopped = stage_request(stage.kind, options='{"wait": true}')
        # One after the other, so that each commit covers the request that was before it.
        await it.send(repeated)
        assert (await it.result(repeated)).attempt == 2
        await it.send(refused)
        assert (await it.result(refused)).status == "failed"
        await it.send(stopped)
        await gate.until(lambda came: stopped.job.job_id in came)
        assert stopped.job.job_id not in {job_id for job_id, _ in settled}
        job_id = stopped.job.job_id
        await it.tools.publisher.publish(
            JOB_CONTROL, job_id, JobControl(f"{job_id}:cancel", job_id, "mail-room", "cancel", now_ms())
        )
        await wait_until(lambda: len(settled) >= 3)
        last = stage_request(stage.kind)
        await it.send(last)
        assert (await it.result(last)).status == "done"
        await wait_until(lambda: len(settled) >= 4)
    wanted = {request.job.job_id for request in (repeated, refused, stopped, last)}
    assert {job_id for job_id, _ in settled} == wanted
    assert len(settled) == 4
    assert all(committed for _, committed in settled)
