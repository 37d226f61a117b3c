"""A broker or a Redis that is really down costs no work an attempt, and repeats none that was in hand."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest

from processors.llm.stage import LlmStage
from schemas.events import StageRequest
from streams.runtime.processor import Context, Result
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.builders import own_stage, stage_request
from tests.conftest import create_topics
from tests.integration.table_processes import OwnRedis
from tests.integration.worker_harness import Gate, bench
from tests.services import KafkaBroker, own_kafka
from tests.sim.launch import simulator
from tests.waiting import WaitUntil

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    with own_kafka() as broker:
        yield broker


@pytest.mark.full
async def test_work_in_hand_when_the_broker_dies_is_done_once_and_at_its_first_attempt(
    broker: KafkaBroker, wait_until: WaitUntil
) -> None:
    """Some of it ends while the broker is away and waits to be written; some is still at work when it is back."""
    await create_topics(broker.bootstrap)
    stage, early, late = own_stage(), Gate(), Gate()

    async def handler(request: StageRequest, context: Context) -> Result:
        gate = late if request.options != "{}" else early
        await gate.enter(f"{request.job.job_id} {context.attempt}")
        return Result(request.inputs)

    async with bench(broker.bootstrap, stage) as it, it.worker(handler, concurrency=8) as worker:
        ends_early = [stage_request(stage.kind) for _ in range(4)]
        ends_late = [stage_request(stage.kind, options='{"late": true}') for _ in range(4)]
        queued = [stage_request(stage.kind) for _ in range(4)]
        await it.send(*ends_early, *ends_late)
        await early.until(lambda came: len(came) == 4)
        await late.until(lambda came: len(came) == 4)
        await it.send(*queued)
        await wait_until(lambda: sum(len(held.works) for held in worker.held.values()) == 12)

        await asyncio.to_thread(broker.stop, kill=True)
        early.opened.set()
        await wait_until(lambda: worker.unavailable == "the log takes no records")
        await asyncio.to_thread(broker.start)
        late.opened.set()
        every = [*ends_early, *ends_late, *queued]
        for request in every:
            result = await it.until(lambda r=request: it.records.results(r.job.job_id), timeout_s=90)
            assert {(r.status, r.attempt) for r in result} == {("done", 1)}
        for request in every:
            used = await it.until(lambda r=request: it.records.usage(r.job.job_id))
            assert {(u.attempt, u.waste) for u in used} == {(1, False)}
    assert sorted(early.came + late.came) == sorted(f"{r.job.job_id} 1" for r in every), "begun once each"


async def test_a_redis_that_is_away_costs_a_model_s_jobs_no_attempt(
    kafka: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """The slots of a model server are divided in Redis; without it a replica goes on with those that it has."""
    redis = OwnRedis(tmp_path)
    redis.start()
    try:
        with simulator(tokens=4) as sim:
            env = {
                "GATEWAY_REDIS_URL": redis.url,
                "GATEWAY_OLLAMA_URLS": sim.url,
                "GATEWAY_DATA_DIR": str(tmp_path),
                "GATEWAY_KAFKA_BOOTSTRAP": kafka,
            }
            stage = LlmStage(Settings.from_env(env), env, MemoryCheckpoints())
            async with AsyncExitStack() as opened, bench(kafka, own_stage("llm")) as it:
                await stage.open(opened)
                asked = orjson.dumps({"model": "tiny", "text": "Hello"}).decode()
                async with it.worker(stage.handle):

                    async def run(count: int) -> None:
                        requests = [stage_request(it.stage.kind, options=asked) for _ in range(count)]
                        await it.send(*requests)
                        for request in requests:
                            result = await it.result(request)
                            assert (result.status, result.attempt) == ("done", 1), result.error
                            (used,) = await it.until(lambda r=request: it.records.usage(r.job.job_id))
                            assert (used.attempt, used.waste) == (1, False)

                    await run(3)
                    redis.stop()
                    await run(20)
                    redis.start()
                    await run(3)
    finally:
        redis.stop()
