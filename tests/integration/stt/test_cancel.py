"""A recording that is cancelled through REST while the real worker transcribes it."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")

from processors.stt.handler import SttHandler, build_processor
from processors.stt.models import find_model
from processors.stt.windows import WindowRule
from schemas.events import UsageEvent
from schemas.topics import STT, USAGE_EVENTS
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.worker import Worker, group_of
from streams.storage.checkpoints import CheckpointKey, MemoryCheckpoints
from streams.storage.store import open_blob_store
from tests.integration.ingress_harness import ViewFolder, own_database, records, running_ingress, settings_for
from tests.integration.worker_harness import make_tools
from tests.recordings import silence, tone, write_long_wav
from tests.waiting import eventually

WINDOW_S = 150.0


class Noted(MemoryCheckpoints):
    """Notes each window that was finished; the job's end removes the windows themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.finished: list[int] = []

    async def save(self, key: CheckpointKey, content: bytes) -> None:
        await super().save(key, content)
        self.finished.append(key.piece)


@pytest.mark.kafka
async def test_a_cancelled_recording_ends_within_its_window_and_is_metered(
    kafka: str, redis_url: str, tmp_path: Path, tiny_model: Path
) -> None:
    """Cancelled when the first of four windows is done: the child of the second one is ended, in the midst of it."""
    minute = silence(60, rate=8000)
    minute[: 50 * 8000] = tone(50, rate=8000)
    recording = write_long_wav(tmp_path / "long.wav", minute, 10, rate=8000)
    database = own_database(redis_url, 11)
    settings = settings_for(kafka, database, tmp_path, GATEWAY_MAX_UPLOAD_MIB="32")
    windows = Noted()
    async with AsyncExitStack() as stack:
        tools = replace(await make_tools(stack, kafka), blobs=open_blob_store(settings.blob_url))
        processor = build_processor(settings, find_model(str(tiny_model), ()), windows)
        assert isinstance(processor.handle, SttHandler)
        rule = WindowRule(length_s=WINDOW_S, near_s=3.0, search_s=6.0, overlap_s=1.0)
        processor = replace(processor, handle=replace(processor.handle, rule=rule))
        subscriber = KafkaSubscriber(kafka, group_of(processor), [topic.name for topic in STT.requests.values()])
        worker = Worker(processor, subscriber, tools, drain_s=5)
        running = asyncio.create_task(worker.run())

        async def stop() -> None:
            worker.stop()
            await running

        stack.push_async_callback(stop)  # in any case: one left in the group would take part of others' recordings
        await stack.enter_async_context(ViewFolder(kafka, database))
        ingress = await stack.enter_async_context(running_ingress(settings))
        client = await stack.enter_async_context(ingress.client(await ingress.key(f"team-{uuid4().hex[:8]}")))
        # Tones are no speech: without the filter the model is asked about all of them.
        with recording.open("rb") as file:
            accepted = await client.post("/v1/stt", files={"file": ("long.wav", file)}, data={"vad": "false"})
        job = accepted.json()["links"]["self"]
        await eventually(lambda: windows.finished, 60)
        children = _children()
        cancelled = await client.delete(job)
        used = await eventually(lambda: _used(kafka, accepted.json()["job_id"]))
        await eventually(lambda: not all(psutil.pid_exists(pid) for pid in children))
        shown = (await client.get(job)).json()
    assert (cancelled.status_code, cancelled.json()["status"], shown["status"]) == (200, "cancelled", "cancelled")
    assert windows.finished == [0]
    assert [event.outcome for event in used] == ["cancelled"]
    assert used[0].usage.audio_seconds == pytest.approx(WINDOW_S, abs=10)


def _children() -> set[int]:
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "streams.runtime.child_main" in " ".join(child.cmdline())
    }


async def _used(kafka: str, job_id: str) -> list[UsageEvent]:
    return [r async for r in records(kafka, USAGE_EVENTS.name, job_id, UsageEvent) if isinstance(r, UsageEvent)]
