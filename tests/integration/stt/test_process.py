"""The process as it is started: without a model it stays up, says why, and ends when told to."""

import asyncio
import contextlib
import fnmatch
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import orjson
import pytest

pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")

from schemas.payloads import BlobRef, Payload
from schemas.topics import STT
from streams.storage.store import open_blob_store
from tests.builders import job_ref, stage_request
from tests.integration.worker_harness import bench
from tests.recordings import silence, speech, write
from tests.services import free_port


async def test_without_a_model_the_process_says_what_to_do(
    tmp_path: Path, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """It needs neither Kafka nor a blob store for that."""
    port = free_port()
    settings = {
        "GATEWAY_METRICS_PORT": str(port),
        "GATEWAY_DATA_DIR": str(tmp_path),
        "GATEWAY_STT_MODEL": str(tmp_path / "no-model"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "processors.stt", env={**os.environ, **settings}, stderr=asyncio.subprocess.DEVNULL
    )
    answers: list[dict[str, str]] = []

    async def answered() -> bool:
        assert process.returncode is None, "it ended"
        answers.extend(await asyncio.to_thread(_unavailable, port))
        return bool(answers)

    try:
        await wait_until(answered, timeout_s=60)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        await _kill(process)
    assert answers[0]["state"] == "unavailable"
    assert "no-model" in answers[0]["reason"]
    assert "GATEWAY_STT_MODEL" in answers[0]["reason"]


@pytest.mark.kafka
async def test_a_killed_process_goes_on_where_it_was(
    kafka: str, tmp_path: Path, tiny_model: Path, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """SIGKILL in the middle of a recording: the next process leaves the finished windows as they are.

    Garbage stands before it, in every lane.
    """
    sentence = [speech("안녕하십니까. 지금부터 예산 심의 회의를 시작하겠습니다."), silence(0.8)]
    path = write(tmp_path / "meeting.flac", np.concatenate(sentence * 30)[: 120 * 16_000])
    blobs = f"file:{tmp_path / 'blobs'}"
    ref = await open_blob_store(blobs).put_bytes("team-a", "audio/flac", path.read_bytes())
    request = stage_request("stt", job=job_ref(service="team-a"), inputs=(Payload("audio/flac", "m.flac", blob=ref),))
    settings = {
        "GATEWAY_METRICS_PORT": "0",
        "GATEWAY_DATA_DIR": str(tmp_path),
        "GATEWAY_BLOB_URL": blobs,
        "GATEWAY_KAFKA_BOOTSTRAP": kafka,
        "GATEWAY_STT_MODEL": str(tiny_model),
    }
    command = (sys.executable, "-m", "tests.integration.stt.short_windows")

    def finished() -> dict[str, int]:
        found: dict[str, int] = {}
        for folder, _, names in os.walk(tmp_path / "blobs" / "_work"):  # it passes over folders that go while we look
            for name in fnmatch.filter(names, "*.json"):
                with contextlib.suppress(FileNotFoundError):
                    found[name] = (Path(folder) / name).stat().st_mtime_ns
        return found

    async with bench(kafka, STT) as it:
        await it.garbage(request.job.job_id)
        await it.send(request)
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **settings})
        try:
            await wait_until(lambda: len(finished()) >= 3, timeout_s=90)
        finally:
            await _kill(process)
        before = finished()
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **settings})
        seen = dict(before)
        again: set[str] = set()

        def over() -> bool:
            now = finished()
            again.update(name for name, at in now.items() if seen.setdefault(name, at) != at)
            return not now and bool(it.records.results(request.job.job_id))

        try:
            await wait_until(over, timeout_s=90)  # nothing is left once the result is on the log
            await it.until(it.garbage_is_buried)
        finally:
            await _kill(process)
    result = it.records.results(request.job.job_id)[0]
    assert len(before) >= 3
    assert not again
    assert result.status == "done"
    assert result.result is not None
    body = orjson.loads(result.result.inline or await open_blob_store(blobs).get(_ref(result.result)))
    assert len(body["segments"]) >= len(seen) > len(before)
    assert result.step_usage.audio_seconds == pytest.approx(120, abs=0.1)
    told = [event.progress for event in it.records.events(request.job.job_id) if event.progress is not None]
    assert {progress.unit for progress in told} <= {"seconds"}


def _ref(payload: Payload) -> BlobRef:
    assert payload.blob is not None
    return payload.blob


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _unavailable(port: int) -> list[dict[str, str]]:
    try:
        urlopen(f"http://127.0.0.1:{port}/readyz").close()
    except HTTPError as error:
        return [orjson.loads(error.read())]
    except OSError:
        pass
    return []
