"""Inputs of many parts, over a simulated model server: each part is asked for once, whatever happens in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from processors.llm.pool.opening import open_pool
from processors.llm.stage import LlmStage
from schemas.errors import Outage
from schemas.events import JobStatus, StageRequest
from schemas.payloads import text_payload
from streams.module_files import read_module_file
from streams.modules import Module
from streams.runtime.processor import Context, Processor, Result
from streams.settings import Settings
from streams.storage.checkpoints import CheckpointKey, MemoryCheckpoints
from tests.builders import stage_request
from tests.sim.catalogue import only_tiny
from tests.sim.launch import Simulator, simulator
from tests.unit.runtime.in_memory import OneStage
from tests.waiting import WaitUntil

MODULES = Path(__file__).resolve().parents[2] / "modules"
TEXT = "\n\n".join(f"Paragraph {n}. " + "A long sentence without any figure. " * 10 for n in range(40)) + "\n"


class Witness(MemoryCheckpoints):
    """Checkpoints that tell when so many are there; `full` ones take no more."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self._wanted = wanted
        self.full = False
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def save(self, key: CheckpointKey, content: bytes) -> None:
        """Save one; the one that was wanted waits for the test."""
        if self.full:
            raise Outage("the blob store is down", code="blob_store_down")
        await super().save(key, content)
        if len(self.saved) == self._wanted:
            self.reached.set()
            await self.go_on.wait()


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator(echo=True, context=2048, keep_prompts=True) as running:
        yield running


def _request(stage: OneStage, module: str, text: str = TEXT) -> StageRequest:
    found = Module(read_module_file(MODULES / f"{module}.yml"))
    options = orjson.dumps(found.options({})).decode()
    request = stage_request(stage.topics.kind, inputs=(text_payload(text),), options=options)
    return replace(request, steps=(replace(found.spec.steps[-1], kind=stage.topics.kind),))


@asynccontextmanager
async def _processor(
    stage: OneStage, sim: Simulator, checkpoints: MemoryCheckpoints, made: list[bytes]
) -> AsyncGenerator[Processor]:
    async with open_pool(only_tiny(sim, 2048), False) as pool:
        llm = LlmStage(Settings.from_env({}), {}, checkpoints)
        llm.use(pool)

        async def handle(request: StageRequest, context: Context) -> Result:
            result = await llm.handle(request, context)
            made.append(result.outputs[0].inline or b"")
            return result

        yield stage.processor(handle, settle=llm.settle)


async def _asked(sim: Simulator) -> tuple[Counter[str], dict[str, int]]:
    """How often each prompt was answered in full, and the tokens of those calls together."""
    await sim.idle()
    calls: list[dict[str, Any]] = [c for c in (await sim.counts(each=True))["calls"] if c["end"] == "done"]
    tokens = {"prompt": sum(c["prompt_tokens"] for c in calls), "completion": sum(c["sent"] for c in calls)}
    return Counter(c["prompt"] for c in calls), tokens


@pytest.mark.full
@pytest.mark.parametrize("module", ["translation", "summary"])
async def test_a_model_server_that_goes_away_in_the_middle_is_waited_for_and_work_goes_on_there(
    sim: Simulator, wait_until: WaitUntil, module: str
) -> None:
    """What was answered is asked for once and charged once, and costs no attempt."""
    await sim.reset()
    await sim.set(echo=module == "translation")
    stage, checkpoints = OneStage(), Witness(3)
    request = _request(stage, module)
    made: list[bytes] = []
    async with _processor(stage, sim, checkpoints, made) as processor, stage.serve(processor) as (worker, _):
        await stage.ask(request)
        await checkpoints.reached.wait()
        await sim.set(fault="error_500")
        checkpoints.go_on.set()
        await wait_until(lambda: worker.unavailable)
        kept = len(checkpoints.saved)
        assert kept >= 3
        await sim.set(fault="none")
        await wait_until(stage.results, timeout_s=60)
        await wait_until(lambda: not checkpoints.saved)
    [result] = stage.results()
    assert (result.status, result.attempt) == (JobStatus.DONE, 1)
    answered, tokens = await _asked(sim)
    assert set(answered.values()) == {1}
    assert len(answered) > kept
    [used] = stage.usage()
    assert (used.usage.prompt_tokens, used.usage.completion_tokens) == (tokens["prompt"], tokens["completion"])
    if module == "translation":
        assert [orjson.loads(body)["text"] for body in made] == [TEXT]


async def test_a_part_that_cannot_be_kept_is_answered_all_the_same(sim: Simulator, wait_until: WaitUntil) -> None:
    """The blob store goes away while parts are asked for: what they are worth is in this attempt's hands."""
    await sim.reset()
    stage, checkpoints = OneStage(), Witness(3)
    made: list[bytes] = []
    async with _processor(stage, sim, checkpoints, made) as processor, stage.serve(processor):
        await stage.ask(_request(stage, "translation"))
        await checkpoints.reached.wait()
        checkpoints.full = True
        checkpoints.go_on.set()
        await wait_until(stage.results, timeout_s=60)
    [result] = stage.results()
    assert (result.status, result.attempt) == (JobStatus.DONE, 1)
    answered, _ = await _asked(sim)
    assert set(answered.values()) == {1}
    assert [orjson.loads(body)["text"] for body in made] == [TEXT]
