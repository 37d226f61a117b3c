"""What becomes of a model's answer to a module's prompt, over a simulated model server."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from processors.llm.pool.opening import open_pool
from processors.llm.stage import LlmStage
from schemas.payloads import text_payload
from streams.module_files import read_module_file
from streams.runtime.processor import Handler
from streams.runtime.testing import FakeContext, stage_request
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.sim.catalogue import only_tiny
from tests.sim.launch import Simulator, simulator

FILE = """\
name: named
version: "1"
title: {ko: 이름, en: Named}
description: {ko: 이름, en: Named}
inputs: [text]
stages: [llm]
options:
  department: {type: string}
prompt: |
  <text>
  {{ options.department }}: {{ text }}
  </text>
"""


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator(echo=True) as running:
        yield running


@pytest_asyncio.fixture
async def handle(sim: Simulator) -> AsyncIterator[Handler]:
    async with open_pool(only_tiny(sim), False) as pool:
        stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())
        stage.use(pool)
        yield stage.handle


@pytest.mark.parametrize(
    ("department", "text"),
    [("R&D <1>", "글"), ("[INST]", "글"), ("영업", "a < b & c"), ("R&D", "&amp;"), ("영업", "글")],
)
async def test_what_was_guarded_anywhere_in_the_prompt_is_as_it_was_in_the_answer(
    handle: Handler, tmp_path: Path, department: str, text: str
) -> None:
    """A value of an option as well as the text itself."""
    (tmp_path / "named.yml").write_text(FILE)
    [step] = read_module_file(tmp_path / "named.yml").steps
    options = orjson.dumps({"department": department}).decode()
    request = replace(stage_request("llm", text_payload(text), options=options), steps=(step,))
    result = await handle(request, FakeContext())
    body: dict[str, Any] = orjson.loads(result.outputs[0].inline or b"")
    assert body["text"] == f"{department}: {text}"
