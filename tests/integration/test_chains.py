"""Modules that follow one another, from `POST /v1/<module>` to the result: the real stages, over a simulated server."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import orjson
import pytest
import pytest_asyncio

from processors.llm.gongmun_stage import GongmunStage
from processors.llm.pool.opening import open_pool
from processors.llm.stage import LlmStage
from processors.ocr.handler import build_processor as ocr_processor
from schemas.events import StageRequest
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.worker import Worker, group_of
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from streams.storage.store import open_blob_store
from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, running_ingress, settings_for
from tests.integration.worker_harness import Gate, leave_behind, make_tools
from tests.sim.catalogue import only_tiny
from tests.sim.launch import Simulator, simulator
from tests.waiting import WaitUntil

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]
ROOT = Path(__file__).resolve().parents[2]
LETTERS = ROOT / "tests" / "data" / "gongmun"


@dataclass
class Door:
    """Ingress with all stages behind it."""

    client: httpx.AsyncClient
    sim: Simulator
    ingress: Ingress
    modules: Path
    extraction: Gate
    """Where letters wait before they are extracted; open unless a test shuts it."""

    async def accepted(self, module: str, **sent: Any) -> str:
        """Submit a job and return its id."""
        answer = await self.client.post(f"/v1/{module}", **sent)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    async def done(self, module: str, **sent: Any) -> dict[str, Any]:
        """Submit a job and return it as it ended."""
        return await self.ended(await self.accepted(module, **sent))

    async def ended(self, job_id: str) -> dict[str, Any]:
        """Wait until a job is done and return it."""
        job: dict[str, Any] = {}
        for _ in range(4):  # a wait is at most a minute
            job = (await self.client.get(f"/v1/jobs/{job_id}", params={"wait": 30}, timeout=60)).json()
            if job["finished_at"]:
                break
        assert job["status"] == "done", job
        return job

    async def prompts(self) -> list[str]:
        """What the model server was asked since the last reset, in order."""
        await self.sim.idle()
        return [call["prompt"] for call in (await self.sim.counts(each=True))["calls"]]


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator(echo=True, context=8192, keep_prompts=True) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def door(
    kafka: str, redis_url: str, sim: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("chains")
    modules = folder / "modules"
    shutil.copytree(ROOT / "modules", modules)
    settings = settings_for(kafka, own_database(redis_url, 10), folder, GATEWAY_MODULES_DIR=str(modules))
    gate = Gate()
    gate.opened.set()
    async with AsyncExitStack() as stack:
        tools = replace(await make_tools(stack, kafka), blobs=open_blob_store(settings.blob_url))
        pool = await stack.enter_async_context(open_pool(only_tiny(sim, 8192), False))
        llm = LlmStage(settings, {}, MemoryCheckpoints())
        llm.use(pool)
        letters = GongmunStage(llm.pool)

        async def extract(request: StageRequest, context: Context) -> Result:
            await gate.enter(request.job.job_id)
            return await letters.handle(request, context)

        extractor = replace(letters.processor, handle=extract)
        served = [ocr_processor(settings), extractor, llm.processor, *_speech(settings, folder)]
        for processor in served:
            await leave_behind(kafka, group_of(processor), list(processor.topics.requests.values()))
        workers = [_worker(kafka, processor, tools) for processor in served]
        running = [asyncio.create_task(worker.run()) for worker in workers]
        await stack.enter_async_context(ViewFolder(kafka, settings.redis_url))
        ingress = await stack.enter_async_context(running_ingress(settings))
        key = await ingress.key(f"team-{uuid4().hex[:8]}")
        client = await stack.enter_async_context(ingress.client(key))
        yield Door(client, sim, ingress, modules, gate)
        for worker in workers:
            worker.stop()
        await asyncio.gather(*running)


def _worker(kafka: str, processor: Processor, tools: Any) -> Worker:
    topics = [topic.name for topic in processor.topics.requests.values()]
    return Worker(processor, KafkaSubscriber(kafka, group_of(processor), topics), tools, drain_s=5)


def _speech(settings: Settings, folder: Path) -> list[Processor]:
    """The stage `stt` with a model that says one sentence; none where the extra is not installed."""
    try:
        from processors.stt.handler import build_processor
        from processors.stt.models import find_model
        from tests.models.tiny_whisper import build
    except ImportError:
        return []
    return [build_processor(settings, find_model(str(build(folder / "tiny")), ()), MemoryCheckpoints())]


async def test_a_letter_is_read_extracted_and_translated(door: Door) -> None:
    """Each stage hands on what the next one needs; the answer has both the translation and what was extracted."""
    await door.sim.reset()
    letter = (LETTERS / "pub1.pdf").read_bytes()
    truth = orjson.loads((LETTERS / "pub1.truth.json").read_bytes())
    job = await door.done(
        "gongmun-translation",
        files={"file": ("letter.pdf", letter, "application/pdf")},
        data={"language": "de", "glossary": '{"빈집": "Leerstand"}'},
    )
    assert [(s["name"], s["status"], s["attempts"]) for s in job["stages"]] == [
        ("ocr", "done", 1),
        ("gongmun.extract", "done", 1),
        ("llm", "done", 1),
    ]
    found = job["result"]["input"]
    assert (found["title"], found["document_number"]) == (truth["title"], truth["document_number"])
    assert found["evidence"]["/title"][0]["bbox"]
    extraction, translation = await door.prompts()
    assert "You read one official letter" in extraction
    assert 'into the language "de"' in translation
    assert "- 빈집 = Leerstand" in translation
    assert found["body"]["text"] in translation
    assert "bbox" not in translation
    # The simulated model gives back what it was to translate.
    said = job["result"]["text"]
    assert all(part in said for part in (truth["title"], truth["document_number"], truth["issue_date"]))
    assert job["result"]["warnings"] == []
    assert job["usage"]["pages"] == 1
    assert job["usage"]["prompt_tokens"] == (await door.sim.counts())["prompt_tokens"]


async def test_a_letter_is_asked_about_with_the_prompt_that_it_was_accepted_with(
    door: Door, wait_until: WaitUntil
) -> None:
    """Whatever the file says by the time that the job comes to its stage."""
    await door.sim.reset()
    sent = {"files": {"file": ("letter.pdf", (LETTERS / "pub2.pdf").read_bytes(), "application/pdf")}}
    file = door.modules / "prompts" / "gongmun.extract.md"
    file.write_text("version: 71\n\nThe earlier prompt.")
    await wait_until(lambda: _is_live(door, "The earlier prompt."))
    door.extraction.opened.clear()
    earlier = await door.accepted("gongmun", **sent)
    await door.extraction.until(lambda came: earlier in came)
    file.write_text("version: 72\n\nThe later prompt.")
    await wait_until(lambda: _is_live(door, "The later prompt."))
    door.extraction.opened.set()
    await _was_asked(door, earlier, 71, "The earlier prompt.")
    await _was_asked(door, await door.accepted("gongmun", **sent), 72, "The later prompt.")


async def _was_asked(door: Door, job_id: str, version: int, told: str) -> None:
    job = await door.ended(job_id)
    assert job["result"]["x_model"] == {"model": "tiny", "prompt": f"gongmun.extract@{version}"}
    assert told in (await door.prompts())[-1]


async def _is_live(door: Door, told: str) -> bool:
    gongmun = door.ingress.dependencies.modules.get("gongmun")
    return gongmun is not None and told in gongmun.spec.steps[1].config


async def test_a_recording_is_written_down_and_summed_up(door: Door, tmp_path: Path) -> None:
    """The transcript goes into the prompt, and stands beside the summary."""
    pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")
    from tests.models.tiny_whisper import SENTENCE
    from tests.recordings import silence, speech, write

    await door.sim.reset()
    sound = np.concatenate([speech("안녕하십니까. 회의를 시작하겠습니다."), silence(0.5)])
    recording = write(tmp_path / "meeting.mp3", sound)
    job = await door.done(
        "stt-summary",
        files={"file": ("meeting.mp3", recording.read_bytes(), "audio/mpeg")},
        data={"language": "ko", "summary_language": "fr"},
    )
    assert [(s["name"], s["status"]) for s in job["stages"]] == [("stt", "done"), ("llm", "done")]
    transcript = job["result"]["input"]
    assert transcript["text"] == "".join(SENTENCE).strip()
    assert transcript["segments"][0]["end"] > 0
    [prompt] = await door.prompts()
    assert f"<said>\n{transcript['text']}\n</said>" in prompt
    assert 'in the language "fr"' in prompt
    assert job["result"]["text"]
    assert job["usage"]["audio_seconds"] == pytest.approx(len(sound) / 16_000, abs=0.2)
    assert job["usage"]["completion_tokens"] == (await door.sim.counts())["tokens_sent"]
