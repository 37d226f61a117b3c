"""Modules that are a prompt in a file, on real Kafka over a simulated model server that refuses what is too long."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from processors.llm.pool.opening import open_pool
from processors.llm.stage import LlmStage
from schemas.events import JobResult, Step
from schemas.payloads import json_payload, text_payload
from schemas.quota_estimates import limited_answers
from streams.module_files import read_module_file
from streams.modules import Module
from streams.runtime.processor import Handler
from streams.runtime.testing import FakeContext
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.builders import own_stage, stage_request
from tests.integration.worker_harness import Bench, bench
from tests.sim.catalogue import only_tiny
from tests.sim.launch import Simulator, simulator

pytestmark = pytest.mark.kafka
MODULES = Path(__file__).resolve().parents[2] / "modules"
LETTER = (
    "# 안내\n\n2024년 3월 15일까지 1,234,500원을 납부하세요. <b>R&D</b> 부서로 문의: a@b.kr\n\n"
    "- 첫째 항목 77개\n- 둘째 항목\n"
)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator(echo=True, context=2048, keep_prompts=True) as running:
        yield running


@pytest_asyncio.fixture
async def handle(sim: Simulator) -> AsyncIterator[Handler]:
    await sim.reset()
    async with _stage(sim, context_tokens=2048) as stage:
        yield stage


@asynccontextmanager
async def _stage(sim: Simulator, *, context_tokens: int) -> AsyncGenerator[Handler]:
    """The stage with a model that is said to have this context; the server itself has 2048."""
    async with open_pool(only_tiny(sim, context_tokens), False) as pool:
        stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())
        stage.use(pool)
        yield stage.handle


async def _run(it: Bench, module: str, text: str, *, before: str = "", **options: Any) -> JobResult:
    return await _run_file(it, MODULES / f"{module}.yml", text, before=before, **options)


async def _run_file(it: Bench, file: Path, text: str, *, before: str = "", **options: Any) -> JobResult:
    found = Module(read_module_file(file))
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


async def _prompts(sim: Simulator) -> list[str]:
    """What the model server was asked, in order of the answers' ends."""
    await sim.idle()
    return [call["prompt"] for call in (await sim.counts(each=True))["calls"]]


@pytest.mark.parametrize(
    ("module", "options", "told"),
    [
        ("summary", {"length": "short"}, ["in one or two sentences", "in its own language"]),
        ("summary", {"length": "medium", "language": "de"}, ["in one paragraph", 'in the language "de"']),
        ("summary", {"length": "long"}, ["in about a page"]),
        ("translation", {}, ['into the language "en"']),
        (
            "translation",
            {"language": "ja", "source_language": "ko", "glossary": {"부서": "部署", "항목": "項目"}},
            ['from the language "ko" into the language "ja"', "- 부서 = 部署", "- 항목 = 項目"],
        ),
    ],
)
async def test_options_reach_the_model(
    kafka: str, handle: Handler, sim: Simulator, module: str, options: dict[str, Any], told: list[str]
) -> None:
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        await _body(await _run(it, module, LETTER, **options), it)
    [prompt] = await _prompts(sim)
    assert [wanted for wanted in told if wanted not in prompt.replace(",\n", ", ")] == []


async def test_options_reach_the_model_in_every_part_and_where_parts_are_put_together(
    kafka: str, handle: Handler, sim: Simulator
) -> None:
    text = "\n\n".join(f"문단 {n}: " + "이 글은 아주 깁니다. " * 12 for n in range(20))
    await sim.set(echo=False)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        body = await _body(await _run(it, "summary", text, length="medium", language="fr"), it)
    prompts = await _prompts(sim)
    assert len(prompts) > body["parts"] > 1
    assert all('in the language "fr"' in prompt and "in one paragraph" in prompt for prompt in prompts)


def _letter(paragraphs: int) -> dict[str, Any]:
    text = "\n".join(
        f"{n}. 2024. 3. {n}.까지 {n}234,500원을 납부하여 주시기 바랍니다." for n in range(1, paragraphs + 1)
    )
    seen = [{"page": 1, "bbox": [0.1, 0.1, 0.9, 0.2], "text": "본 것", "confidence": 0.9, "source": "ocr"}]
    return {
        "title": "예산 안내",
        "document_number": "재정과-77",
        "issue_date": "2024-02-29",
        "sender": {"organisation": "산들도", "signatory_title": "산들도지사"},
        "recipients": [{"name": "갈숲시장", "attention": "재정과장"}],
        "requested_actions": [{"action": "제출", "due_date": "2024-03-15"}],
        "body": {"text": text, "items": [{"marker": f"{n}.", "text": "안"} for n in range(paragraphs)]},
        "attachments": [{"number": 1, "name": "서식", "count_as_written": "1부"}],
        "evidence": {f"/body/items/{n}/text": seen for n in range(paragraphs)},
    }


async def test_what_follows_a_letter_sees_what_people_read_of_it(kafka: str, handle: Handler, sim: Simulator) -> None:
    """Not where on the page it stands; the extraction is kept whole beside the translation."""
    letter = _letter(2)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        given = orjson.dumps(letter).decode()
        body = await _body(await _run(it, "gongmun-translation", given, before="gongmun.extract", language="ja"), it)
    [prompt] = await _prompts(sim)
    asked = prompt.rpartition("<text>")[2].partition("</text>")[0]
    for read in (
        "예산 안내",
        "재정과-77",
        "2024-02-29",
        "산들도, 산들도지사",
        "갈숲시장 (재정과장)",
        "2024-03-15",
        "서식 1부",
    ):
        assert read in asked
    assert letter["body"]["text"] in asked
    assert not any(word in prompt for word in ("evidence", "bbox", "confidence"))
    assert (body["text"], body["input"], body["parts"], body["warnings"]) == (asked.removeprefix("\n"), letter, 1, [])


async def test_a_long_letter_is_translated_in_parts_with_its_numbers_kept(
    kafka: str, handle: Handler, sim: Simulator
) -> None:
    """Cut at its lines. An answer that lost figures is asked for again, and told of when it lost them again."""
    letter = _letter(80)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        given = orjson.dumps(letter).decode()
        body = await _body(await _run(it, "gongmun-translation", given, before="gongmun.extract"), it)
        assert body["parts"] > 2
        assert len(await _prompts(sim)) == body["parts"]
        assert letter["body"]["text"] in body["text"].replace("\n\n", "\n")
        await sim.set(fault="bad_answer", fault_count=2 * body["parts"])
        lost = await _body(await _run(it, "gongmun-translation", given, before="gongmun.extract"), it)
    assert body["warnings"] == []
    assert any("1234,500" in warning for warning in lost["warnings"])


async def test_a_letter_that_says_nothing_fails_and_says_so(kafka: str, handle: Handler) -> None:
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, "gongmun-translation", '{"origin": "foreign"}', before="gongmun.extract")
    assert result.error
    assert result.error.code == "empty_text"


OF_DATA = """\
name: of-data
version: "1"
title: {ko: 자료, en: Data}
description: {ko: 자료, en: Data}
inputs: [document]
stages: [ocr, gongmun.extract, llm]
prompt: |
  <text>
  {{ data.title }}
  </text>
"""


async def test_a_prompt_of_the_data_alone_is_asked_once_however_long_its_source(
    kafka: str, handle: Handler, sim: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "of-data.yml").write_text(OF_DATA)
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        given = orjson.dumps(_letter(80)).decode()
        body = await _body(await _run_file(it, tmp_path / "of-data.yml", given, before="gongmun.extract"), it)
    assert (body["text"], body["parts"], len(await _prompts(sim))) == ("예산 안내", 1, 1)


SUMMED_AS_JSON = """\
name: summed
version: "1"
title: {ko: 요약, en: Summed}
description: {ko: 요약, en: Summed}
inputs: [text]
stages: [llm]
prompt:
  part: |
    Sum up part {{ number }} of {{ count }}.
    <text>
    {{ text }}
    </text>
  combine: |
    Put together.
    <text>
    {{ text }}
    </text>
limits: {answer_tokens: 200}
result_schema: {type: object, required: [about], properties: {about: {type: string}}}
"""


async def test_what_the_server_finds_too_long_is_halved_and_summed_up_together(
    kafka: str, sim: Simulator, tmp_path: Path
) -> None:
    """The halves go the way of parts: into a prompt that puts them together, whose answer is the JSON."""
    await sim.reset()
    await sim.set(echo=False)
    text = " ".join(f"낱말{n}" for n in range(900))
    (tmp_path / "summed.yml").write_text(SUMMED_AS_JSON)
    async with (
        _stage(sim, context_tokens=16_000) as handle,
        bench(kafka, own_stage("llm")) as it,
        it.worker(handle),
    ):
        summary = await _body(await _run(it, "summary", text), it)
        prompts = await _prompts(sim)
        await sim.reset()
        await sim.set(echo=False)
        body = await _body(await _run_file(it, tmp_path / "summed.yml", text), it)
        as_json = await _prompts(sim)
    assert summary["parts"] == len(prompts) - 1 > 1
    for asked, together in ((prompts, "consists of summaries"), (as_json, "Put together")):
        assert [together in prompt for prompt in asked] == [False] * (len(asked) - 1) + [True]
    assert isinstance(body["about"], str)
    assert "part 1 of 2." in as_json[0]


async def test_a_translation_that_was_halved_is_put_together_as_it_was(kafka: str, sim: Simulator) -> None:
    await sim.reset()
    text = "\n".join(f"줄 {n}" for n in range(900))
    async with _stage(sim, context_tokens=16_000) as handle, bench(kafka, own_stage("llm")) as it, it.worker(handle):
        body = await _body(await _run(it, "translation", text), it)
    assert (body["text"], body["warnings"]) == (text, [])
    assert body["parts"] == len(await _prompts(sim)) > 1


async def test_json_that_cannot_be_put_together_is_not_asked_for_in_halves(
    kafka: str, sim: Simulator, tmp_path: Path
) -> None:
    await sim.reset()
    alone = SUMMED_AS_JSON.replace("  combine: |\n    Put together.\n    <text>\n    {{ text }}\n    </text>\n", "")
    (tmp_path / "alone.yml").write_text(alone)
    text = " ".join(f"낱말{n}" for n in range(900))
    async with _stage(sim, context_tokens=16_000) as handle, bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run_file(it, tmp_path / "alone.yml", text)
    assert result.error
    assert result.error.code == "input_too_long"
    assert await _prompts(sim) == []


async def test_an_answer_that_nobody_limits_is_cut_at_what_is_reserved_for_it_and_says_so(
    handle: Handler, sim: Simulator, tmp_path: Path
) -> None:
    free = SUMMED_AS_JSON.partition("  combine:")[0]
    (tmp_path / "free.yml").write_text(free)
    await sim.set(echo=False, tokens=50)
    steps = limited_answers(Module(read_module_file(tmp_path / "free.yml")).spec.steps, "{}", 12)
    request = replace(stage_request("llm", inputs=(text_payload("낱말"),)), steps=steps)
    done = await handle(request, FakeContext())
    assert (await sim.idle())["tokens_sent"] == done.usage.completion_tokens == 12
    assert orjson.loads(done.outputs[0].inline or b"")["warnings"] == ["part 1 of 1: the answer was cut at its limit"]


async def test_a_text_without_words_fails_and_says_so(kafka: str, handle: Handler) -> None:
    async with bench(kafka, own_stage("llm")) as it, it.worker(handle):
        result = await _run(it, "summary", " \n ")
        assert result.error
        assert result.error.code == "empty_text"
