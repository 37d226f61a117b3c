"""Modules that are a prompt in a file, on real Kafka over a simulated model server that refuses what is too long."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream
from processors.llm.pool.opening import open_pool
from processors.llm.protocols.values import Dialect
from processors.llm.stage import LlmStage
from schemas.events import JobResult, Step
from schemas.payloads import json_payload, text_payload
from streams.module_files import read_module_file
from streams.modules import Module
from streams.runtime.processor import Handler
from streams.settings import Settings
from tests.builders import own_stage, stage_request
from tests.integration.worker_harness import Bench, bench
from tests.sim.launch import Simulator, simulator

pytestmark = pytest.mark.kafka
MODULES = Path(__file__).resolve().parents[2] / "modules"
LETTER = (
    "# 안내\n\n2024년 3월 15일까지 1,234,500원을 납부하세요. <b>R&D</b> 부서로 문의: a@b.kr\n\n"
    "- 첫째 항목 77개\n- 둘째 항목\n"
)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator(echo=True, context=2048) as running:
        yield running


@pytest_asyncio.fixture
async def handle(sim: Simulator) -> AsyncIterator[Handler]:
    await sim.reset()
    upstream = Upstream("sim", Dialect.OLLAMA, sim.url, 8)
    model = PublicModel("tiny", (Route("sim", "tiny:latest"),), context_tokens=2048)
    async with open_pool(Catalogue({"sim": upstream}, {"tiny": model}), False) as pool:
        stage = LlmStage(Settings.from_env({}), {})
        stage.use(pool)
        yield stage.handle


async def _run(it: Bench, module: str, text: str, *, before: str = "", **options: Any) -> JobResult:
    found = Module(read_module_file(MODULES / f"{module}.yml"))
    step = replace(found.spec.steps[-1], kind=it.stage.kind)
    given = orjson.dumps(found.options(options)).decode()
    payload = json_payload(text.encode()) if before else text_payload(text)
    request = stage_request(it.stage.kind, inputs=(payload,), options=given)
    steps = (Step(before, before), step) if before else (step,)
    request = replace(request, steps=steps, position=len(steps) - 1)
    await it.send(request)
    return await it.result(request)


async def _body(result: JobResult, it: Bench) -> dict[str, Any]:
    assert result.status == "done", result.error
    assert result.result
    if result.result.blob is not None:
        return orjson.loads(await it.blobs.get(result.result.blob))
    return orjson.loads(result.result.inline or b"")


async def test_a_text_is_translated_with_its_numbers_and_marks_kept(kafka: str, handle: Handler) -> None:
    """What is guarded in the prompt is as it was in the answer."""
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        body = await _body(await _run(it, "translation", LETTER, language="en", glossary={"부서": "department"}), it)
        assert (body["text"], body["parts"], body["warnings"]) == (LETTER, 1, [])


async def test_an_answer_that_lost_numbers_is_repaired_once_then_warned_of(
    kafka: str, handle: Handler, sim: Simulator
) -> None:
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        await sim.set(fault="bad_answer", fault_count=1)
        assert (await _run(it, "translation", LETTER)).status == "done"
        assert (await sim.idle())["requests"] == 2
        await sim.set(fault="bad_answer", fault_count=2)
        body = await _body(await _run(it, "translation", LETTER), it)
        assert any("1,234,500" in warning for warning in body["warnings"])


async def test_a_long_text_is_split_and_put_together_as_it_was(kafka: str, handle: Handler, sim: Simulator) -> None:
    """No part is too long for the model: the server refuses those, and would have cut them otherwise."""
    text = "\n\n".join(f"문단 {n}: " + "이 글은 아주 깁니다. " * 12 for n in range(60)) + "\n"
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        body = await _body(await _run(it, "translation", text), it)
        assert body["parts"] > 5
        assert (await sim.idle())["requests"] == body["parts"]
        assert [line.strip() for line in body["text"].splitlines()] == [line.strip() for line in text.splitlines()]


async def test_a_long_text_is_summed_up_in_parts_and_together(kafka: str, handle: Handler, sim: Simulator) -> None:
    """The summaries of the parts are summed up again until one is left; its progress is told by part."""
    text = "\n\n".join(f"문단 {n}: " + "이 글은 아주 깁니다. " * 12 for n in range(20))
    await sim.set(echo=False)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, "summary", text)
        body = await _body(result, it)
        [used] = await it.until(lambda: it.records.usage(result.job.job_id))
        asked = (await sim.idle())["requests"]
    assert body["parts"] > 3
    assert asked > body["parts"]
    assert body["text"]
    assert used.outcome == "done"
    assert used.usage.prompt_tokens > 0


async def test_what_follows_a_letter_sees_its_fields(kafka: str, handle: Handler) -> None:
    """The chain gongmun, then a translation: the extraction is kept beside it."""
    letter = {
        "title": "예산 안내",
        "body": {"text": "본문입니다."},
        "requested_actions": [{"action": "제출", "due_date": "2024-03-15"}],
    }
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        body = await _body(
            await _run(it, "gongmun-translation", orjson.dumps(letter).decode(), before="gongmun.extract"), it
        )
        assert body["input"] == letter
        assert body["text"]


async def test_a_text_without_words_fails_and_says_so(kafka: str, handle: Handler) -> None:
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, "summary", " \n ")
        assert result.error
        assert result.error.code == "empty_text"
