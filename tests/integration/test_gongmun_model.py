"""The model's part of `gongmun.extract`, over a simulated model server and a real pool."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from processors.llm.gongmun.model_question import prompt
from processors.llm.gongmun_model import helped
from processors.llm.gongmun_stage import GongmunStage
from processors.llm.pool.opening import open_pool
from processors.llm.pool.pool import Pool
from schemas.events import StageRequest
from schemas.pages import encode_document
from schemas.payloads import json_payload
from streams.runtime.processor import Result
from streams.runtime.testing import FakeContext
from tests.builders import stage_request
from tests.sim.catalogue import only_tiny
from tests.sim.launch import Simulator
from tests.unit.gongmun.pages import PUBLIC, document_of

PAGES = encode_document(document_of(PUBLIC))


@pytest_asyncio.fixture
async def pool(sim: Simulator) -> AsyncIterator[Pool]:
    await sim.reset()
    async with open_pool(only_tiny(sim), False) as running:
        yield running


def request(**options: Any) -> StageRequest:
    return stage_request("gongmun.extract", inputs=(json_payload(PAGES),), options=orjson.dumps(options).decode())


async def run(pool: Pool | None, **options: Any) -> tuple[dict[str, Any], Result]:
    result = await GongmunStage(lambda: pool).handle(request(**options), FakeContext())
    return orjson.loads(result.outputs[0].inline or b""), result


def without_notes(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in ("warnings", "x_model")}


async def test_a_scripted_answer_is_merged_and_metered(pool: Pool, sim: Simulator) -> None:
    rules, _ = await run(None)
    answer = {"title": {"value": "여기에 없는 값", "line": "L1"}}
    await sim.set(answer=orjson.dumps(answer).decode())
    body, result = await run(pool)
    counts = await sim.idle()

    assert without_notes(body) == without_notes(rules)
    assert body["x_model"] == {"model": "tiny", "prompt": f"gongmun.extract@{prompt()[0]}"}
    assert body["warnings"][-1]["code"] == "model_value_not_on_page"
    assert result.usage.completion_tokens == counts["tokens_sent"] > 0
    assert result.usage.prompt_tokens == counts["prompt_tokens"]
    assert (result.model, result.upstream) == ("tiny", "sim")


@pytest.mark.parametrize(
    ("fault", "code"),
    [("bad_answer", "model_answer_unusable"), ("error_500", "model_failed"), ("cut", "model_failed")],
)
async def test_a_model_that_fails_leaves_the_rules_result(pool: Pool, sim: Simulator, fault: str, code: str) -> None:
    rules, _ = await run(None)
    await sim.set(fault=fault)
    body, _ = await run(pool)

    assert without_notes(body) == without_notes(rules)
    assert [warning["code"] for warning in body["warnings"]] == [code]


async def test_what_a_model_used_that_brought_nothing_is_told_apart(pool: Pool, sim: Simulator) -> None:
    """An answer breaks in its middle and is asked for again; or breaks each time, and the rules' result stands."""
    await sim.set(fault="cut", fault_count=1, fault_after=3, token_ms=20)
    _, result = await run(pool)
    counts = await sim.idle()
    assert [(each.usage.completion_tokens, each.upstream) for each in result.wasted] == [(3, "sim")]
    assert result.usage.completion_tokens + 3 == counts["tokens_sent"]

    await sim.reset()
    await sim.set(fault="cut", fault_after=3, token_ms=20)
    _, result = await run(pool)
    used = [result.usage, *(each.usage for each in result.wasted)]
    assert sum(usage.completion_tokens for usage in used) == (await sim.idle())["tokens_sent"] > 3


async def test_a_model_that_hangs_is_waited_for_within_bounds(pool: Pool, sim: Simulator) -> None:
    await sim.set(fault="hang")
    found = await helped(pool, request(), FakeContext(), PAGES, b'{"title":"x"}', timeout_s=0.2)

    body = orjson.loads(found.result)
    assert body["title"] == "x"
    assert body["warnings"][0]["code"] == "model_too_slow"


async def test_a_caller_may_do_without_the_model(pool: Pool, sim: Simulator) -> None:
    body, result = await run(pool, use_model=False)

    assert (await sim.idle())["requests"] == 0
    assert result.model.startswith("rules-")
    assert "x_model" not in body
