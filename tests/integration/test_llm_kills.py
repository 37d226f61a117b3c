"""The llm process is killed in the middle of a long input, on real Kafka over a simulated model server."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import orjson
import pytest

from schemas.events import JobStatus
from schemas.payloads import text_payload
from streams.module_files import read_module_file
from streams.modules import Module
from streams.storage.checkpoints import PREFIX
from streams.storage.store import open_blob_store
from tests.builders import own_stage, stage_request
from tests.integration.worker_harness import bench
from tests.sim.launch import simulator
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).resolve().parents[2]
PARAGRAPHS = [f"Paragraph {n}. " + "A long sentence without any figure. " * 10 for n in range(40)]


@contextmanager
def _process(*arguments: str) -> Iterator[Popen[bytes]]:
    with Popen([sys.executable, "-m", "tests.integration.llm_process", *arguments], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def _kept(folder: Path) -> list[Path]:
    # A folder may go while it is looked through.
    return [Path(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".json")]


@pytest.mark.full
async def test_parts_that_were_answered_before_a_kill_are_asked_for_once_and_charged_once(
    kafka: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Only what was under way is asked for again; nothing is left behind in the store. Garbage stands before it all."""
    module = Module(read_module_file(ROOT / "modules" / "translation.yml"))
    text = "\n\n".join(PARAGRAPHS) + "\n"
    with simulator(echo=True, context=2048, keep_prompts=True, token_ms=5) as sim:
        async with bench(kafka, own_stage("llm")) as it:
            kind = it.stage.kind
            request = stage_request(
                kind, inputs=(text_payload(text),), options=orjson.dumps(module.options({})).decode()
            )
            request = replace(request, steps=(replace(module.spec.steps[-1], kind=kind),))
            await it.garbage(request.job.job_id)
            await it.send(request)
            folder = tmp_path / PREFIX
            with _process(kafka, kind, sim.url, str(tmp_path)) as first:
                await wait_until(lambda: len(_kept(folder)) >= 3, timeout_s=60)
                first.kill()
                first.wait()
            kept = [str(orjson.loads(file.read_bytes())["answers"][0]).strip() for file in _kept(folder)]
            with _process(kafka, kind, sim.url, str(tmp_path)):
                result = await it.result(request)
                await wait_until(lambda: not _kept(folder))
            [used] = await it.until(lambda: it.records.usage(request.job.job_id))
            await it.until(it.garbage_is_buried)
        await sim.idle()
        calls = [call for call in (await sim.counts(each=True))["calls"] if call["end"] == "done"]
    assert (result.status, result.attempt) == (JobStatus.DONE, 2)
    assert result.result
    assert result.result.blob
    body = orjson.loads(await open_blob_store(f"file:{tmp_path}").get(result.result.blob))
    assert body["text"] == text
    asked = Counter(call["prompt"] for call in calls)
    assert len(asked) == body["parts"] > len(kept) >= 3
    assert [sum(n for prompt, n in asked.items() if answer in prompt) for answer in kept] == [1] * len(kept)
    tokens = {call["prompt"]: (call["prompt_tokens"], call["sent"]) for call in calls}
    assert used.usage.prompt_tokens == sum(prompt for prompt, _ in tokens.values())
    assert used.usage.completion_tokens == sum(sent for _, sent in tokens.values())
