"""The stage `llm` on real Kafka, over a simulated model server."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from processors.llm.pool.opening import open_pool
from processors.llm.stage import LlmStage
from schemas.events import JobResult
from streams.runtime.processor import Handler
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.builders import own_stage, stage_request
from tests.integration.worker_harness import Bench, bench
from tests.sim.catalogue import only_tiny
from tests.sim.launch import Simulator

pytestmark = pytest.mark.kafka
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest_asyncio.fixture
async def handle(sim: Simulator) -> AsyncIterator[Handler]:
    await sim.reset()
    async with open_pool(only_tiny(sim), False) as pool:
        stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())
        stage.use(pool)
        yield stage.handle


async def _run(it: Bench, **options: Any) -> JobResult:
    request = stage_request(it.stage.kind, options=orjson.dumps(options).decode())
    await it.send(request)
    return await it.result(request)


async def test_a_text_is_answered_and_metered(kafka: str, handle: Handler, sim: Simulator) -> None:
    async with bench(kafka, own_stage("llm", done=True)) as it, it.worker(handle):
        said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
        result = await _run(it, model="tiny", max_tokens=6, messages=said, system="Be brief")
        assert result.status == "done"
        assert result.result
        body = orjson.loads(result.result.inline or b"")
        assert (body["model"], body["finish_reason"], bool(body["text"])) == ("tiny", "length", True)
        [used] = await it.until(lambda: it.records.usage(result.job.job_id))
        counts = await sim.idle()
        assert (used.usage.completion_tokens, used.usage.prompt_tokens) == (6, counts["prompt_tokens"])
        assert (used.model, used.upstream, used.final) == ("tiny", "sim", True)


async def test_an_answer_in_json_fits_the_schema(kafka: str, handle: Handler) -> None:
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, schema=SCHEMA)
        assert result.result
        body = orjson.loads(result.result.inline or b"")
        assert isinstance(body["json"]["name"], str)
        assert body["repaired"] is False


@pytest.mark.parametrize(("bad", "status"), [(1, "done"), (2, "failed")])
async def test_an_answer_that_does_not_fit_is_repaired_once(
    kafka: str, handle: Handler, sim: Simulator, bad: int, status: str
) -> None:
    await sim.set(fault="bad_answer", fault_count=bad)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, schema=SCHEMA)
        assert result.status == status
        counts = await sim.idle()
        assert counts["requests"] == 2
        [used] = await it.until(lambda: it.records.usage(result.job.job_id))
        assert used.usage.completion_tokens == counts["tokens_sent"]
        if status == "done":
            assert orjson.loads((result.result or pytest.fail("no result")).inline or b"")["repaired"] is True
        else:
            assert result.error
            assert result.error.code == "invalid_answer"
            assert await it.blobs.get(result.artifacts["answer"])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"model": "nope"}, "unknown_model"),
        ({"schema": {"type": "nonsense"}}, "invalid_schema"),
        ({"schema": {**SCHEMA, "properties": {"name": {"$ref": "http://127.0.0.1:1/x"}}}}, "invalid_schema"),
    ],
)
async def test_what_cannot_be_asked_fails_at_once(
    kafka: str, handle: Handler, options: dict[str, Any], code: str
) -> None:
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, **options)
        assert (result.status, (result.error or pytest.fail("no error")).code) == ("failed", code)
