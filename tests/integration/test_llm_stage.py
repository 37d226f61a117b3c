"""The stage `llm` on real Kafka, over a simulated model server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
import pytest_asyncio

from processors.llm.errors import NoUpstream
from processors.llm.pool.answers import Answer
from processors.llm.pool.opening import open_pool
from processors.llm.pool.values import PoolPolicy
from processors.llm.stage import LlmStage
from schemas.events import JobControl, JobResult
from schemas.payloads import text_payload
from schemas.topics import JOB_CONTROL
from streams.runtime.processor import Handler
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.builders import now_ms, own_stage, stage_request
from tests.integration.worker_harness import Bench, bench
from tests.sim.catalogue import only_tiny
from tests.sim.launch import Simulator
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@asynccontextmanager
async def serving(sim: Simulator, policy: PoolPolicy | None = None) -> AsyncIterator[Handler]:
    """The stage's handler, over the simulator."""
    async with open_pool(only_tiny(sim), False, policy) as pool:
        stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())
        stage.use(pool)
        yield stage.handle


@pytest_asyncio.fixture
async def handle(sim: Simulator) -> AsyncIterator[Handler]:
    await sim.reset()
    async with serving(sim) as handler:
        yield handler


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


async def test_a_submission_that_stands_on_the_log_twice_is_asked_once(
    kafka: str, handle: Handler, sim: Simulator
) -> None:
    """Its caller lost the first answer and asked again; both requests come with one fetch."""
    await sim.set(token_ms=10)
    async with bench(kafka, own_stage("llm")) as it:
        request = stage_request(it.stage.kind, options='{"max_tokens": 6}')
        await it.send(request, replace(request, requested_at_ms=request.requested_at_ms + 500))
        async with it.worker(handle) as worker:
            assert (await it.result(request)).status == "done"
        (held,) = (held for held in worker.held.values() if held.offsets)
        assert held.committed is not None
        assert held.committed.offset == 2
        [used] = await it.until(lambda: it.records.usage(request.job.job_id))
    counts = await sim.idle()
    assert (counts["requests"], used.usage.completion_tokens) == (1, counts["tokens_sent"])


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


async def test_an_answer_may_take_longer_than_its_first_token(kafka: str, sim: Simulator) -> None:
    await sim.reset()
    await sim.set(token_ms=40)
    async with (
        serving(sim, PoolPolicy(first_token_s=0.3, whole_s=0.3, outage_patience_s=0)) as handler,
        bench(kafka, own_stage("llm")) as it,
        it.worker(handler),
    ):
        assert (await _run(it, max_tokens=20)).status == "done"
        assert (await sim.idle())["requests"] == 1


@pytest.mark.parametrize("begun", [True, False])
async def test_what_a_job_that_is_cancelled_in_its_answer_has_used_is_metered(
    kafka: str, handle: Handler, sim: Simulator, wait_until: WaitUntil, begun: bool
) -> None:
    await sim.set(token_ms=20, ttft_ms=0 if begun else 60_000)

    async def is_at_work() -> bool:
        counts = await sim.counts()
        return counts["open"] == 1 and counts["tokens_sent"] >= 3 * begun

    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        request = stage_request(it.stage.kind, options=b'{"max_tokens": 3000}'.decode())
        await it.send(request)
        await wait_until(is_at_work)
        job_id = request.job.job_id
        control = JobControl(f"{job_id}:cancel", job_id, request.job.service, "cancel", now_ms())
        await it.tools.publisher.publish(JOB_CONTROL, job_id, control)
        [used] = await it.until(lambda: it.records.usage(job_id))
        counts = await sim.idle()
        assert counts["ends"] == {"disconnected": 1}
        assert (used.outcome, used.upstream, used.waste, used.final) == ("cancelled", "sim", False, True)
        assert used.usage.completion_tokens == counts["tokens_sent"]
        assert (used.usage.prompt_tokens > 0, used.usage.estimated) == (True, True)


async def test_an_answer_that_breaks_in_its_middle_is_asked_for_again_and_charged_once(
    kafka: str, handle: Handler, sim: Simulator
) -> None:
    await sim.set(fault="cut", fault_count=1, fault_after=3, token_ms=20)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, max_tokens=6)
        assert result.status == "done"
        events = await it.until(lambda: u if len(u := it.records.usage(result.job.job_id)) == 2 else None)
        charged, wasted = sorted(events or (), key=lambda event: event.waste)
        assert (charged.usage.completion_tokens, charged.usage.estimated, charged.final) == (6, False, True)
        assert (wasted.usage.completion_tokens, wasted.upstream, wasted.final) == (3, "sim", False)
        assert (await sim.idle())["tokens_sent"] == 9


async def test_what_was_answered_before_an_outage_is_on_the_ledger(
    kafka: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repair of an answer finds no server, so that all is asked for again: each answer was really given."""
    await sim.reset()
    await sim.set(fault="bad_answer", fault_count=1)
    async with open_pool(only_tiny(sim), False) as pool:
        stage, asked, opening = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints()), 0, pool.open

        async def down_for_the_second(*call: Any) -> Answer:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise NoUpstream("it is down")
            return await opening(*call)

        monkeypatch.setattr(pool, "open", down_for_the_second)
        stage.use(pool)
        async with bench(kafka, own_stage("llm")) as it, it.worker(stage.handle):
            result = await _run(it, schema=SCHEMA)
            assert (result.status, result.attempt) == ("done", 1)
            events = await it.until(lambda: u if len(u := it.records.usage(result.job.job_id)) == 2 else None) or []
    counts = await sim.idle()
    assert sorted(event.waste for event in events) == [False, True]
    assert sum(event.usage.completion_tokens for event in events) == counts["tokens_sent"]
    assert sum(event.usage.prompt_tokens for event in events) == counts["prompt_tokens"]


async def test_an_answer_that_always_breaks_costs_attempts_and_fails(
    kafka: str, handle: Handler, sim: Simulator
) -> None:
    await sim.set(fault="cut", fault_after=3, token_ms=20)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, max_tokens=6)
        assert (result.status, (result.error or pytest.fail("no error")).code) == ("failed", "answer_cut")
        events = it.records.usage(result.job.job_id)
        assert sum(event.usage.completion_tokens for event in events) <= (await sim.idle())["tokens_sent"]


async def test_a_request_that_no_server_can_answer_ends_and_the_others_go_on(
    kafka: str, handle: Handler, sim: Simulator
) -> None:
    await sim.set(fault="error_500", fault_prompt="poison")
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle), asyncio.timeout(60):
        poison = stage_request(it.stage.kind, inputs=(text_payload("poison"),))
        await it.send(poison)
        while not (ends := it.records.results(poison.job.job_id)):
            assert (await _run(it)).status == "done"
        assert [(end.status, end.error and end.error.code) for end in ends] == [("failed", "call_failed")]
