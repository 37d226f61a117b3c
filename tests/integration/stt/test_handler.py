"""The stage's handler with real children: results, progress, going on after a crash, cancelling."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psutil
import pytest

pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")

from processors.stt.handler import SttHandler, build_processor
from processors.stt.limits import Limits
from processors.stt.models import ModelMissing, find_model
from processors.stt.windows import WindowRule
from processors.stt.work import EngineChoice
from schemas.errors import InvalidInput, Outage, Transient
from schemas.payloads import Payload
from streams.runtime.children import ChildPool
from streams.runtime.testing import FakeContext
from streams.settings import Settings
from streams.storage.checkpoints import CheckpointKey, MemoryCheckpoints
from tests.models.tiny_whisper import SENTENCE
from tests.recordings import silence, speech, tone, write
from tests.unit.stt.builders import request

SAID = "".join(SENTENCE).strip()
RULE = WindowRule(length_s=10.0, near_s=3.0, search_s=6.0, overlap_s=1.0)
MEMORY = 2 << 30


class ChildContext(FakeContext):
    """A context whose calls run in real children; `calls` notes each with the window's number."""

    def __init__(self, children: ChildPool) -> None:
        super().__init__()
        self._children = children
        self.calls: list[int | None] = []

    async def call(self, function: str, *args: Any, timeout_s: float | None = None) -> Any:
        """Run it in a child."""
        self.calls.append(getattr(args[0], "index", None))
        return await self._children.call(function, args, timeout_s or 60.0, MEMORY)


@asynccontextmanager
async def children() -> AsyncGenerator[ChildPool]:
    """One child, as the stage has it."""
    async with ChildPool(1, preload=("processors.stt.child",)) as pool:
        yield pool


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Payload:
    """About 45 s of speech with pauses, as mp3: five windows."""
    sentence = [speech("안녕하십니까. 지금부터 예산 심의 회의를 시작하겠습니다."), silence(0.8)]
    path = write(tmp_path_factory.mktemp("audio") / "meeting.mp3", np.concatenate(sentence * 12)[: 45 * 16_000])
    return Payload("audio/mpeg", "meeting.mp3", inline=path.read_bytes())


@pytest.fixture
def handler(tiny_model: Path) -> SttHandler:
    """The stage with short windows and checkpoints in memory."""
    model = find_model(str(tiny_model), ())
    return SttHandler(EngineChoice(model.directory, model.name, 1), model.size, MemoryCheckpoints(), rule=RULE)


async def test_a_recording_becomes_text_with_times_and_usage(handler: SttHandler, meeting: Payload) -> None:
    """Each window hears the model's sentence once; progress counts seconds up to the end."""
    async with children() as pool:
        context = ChildContext(pool)
        result = await handler(request('{"language":"ko"}', inputs=(meeting,)), context)
    body = orjson.loads(result.outputs[0].inline or b"")
    windows = len(context.calls) - 1
    assert windows >= 5
    assert [segment["text"] for segment in body["segments"]] == [SAID] * windows
    starts = [segment["start"] for segment in body["segments"]]
    assert starts == sorted(starts)
    assert body["language"] == "ko"
    assert body["duration"] == pytest.approx(45, abs=0.2)
    assert result.outputs[0].name == "meeting.json"
    assert result.usage.audio_seconds == body["duration"]
    assert result.usage.work_seconds > 0
    assert result.model.startswith("faster-whisper-1.2.1 tiny")
    told = [(progress.done, progress.total, progress.unit) for progress in context.reported]
    assert told[0] == (0, told[0][1], "seconds")
    assert told[-1][0] >= 45
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


async def test_silence_is_a_result_that_says_so(handler: SttHandler, tmp_path: Path) -> None:
    """No text, no language, a warning; as subtitles, an empty file."""
    path = write(tmp_path / "quiet.wav", silence(12))
    payload = Payload("audio/wav", "quiet.wav", inline=path.read_bytes())
    context = FakeContext()
    result = await handler(request(inputs=(payload,)), context)
    body = orjson.loads(result.outputs[0].inline or b"")
    assert (body["text"], body["language"], body["segments"]) == ("", "", [])
    assert body["warnings"] == ["no speech found"]
    srt = await handler(request('{"format":"srt"}', inputs=(payload,), job_id="job-2"), context)
    assert srt.outputs[0].inline == b""


async def test_after_a_crash_at_most_one_window_is_done_again(
    handler: SttHandler, meeting: Payload, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """The child is killed in its third window; another handler, in another process for all it knows, goes on."""
    async with children() as pool:
        context = ChildContext(pool)
        killed = asyncio.create_task(_kill_children(wait_until(lambda: 2 in context.calls)))
        with pytest.raises(Transient) as raised:
            await handler(request('{"language":"ko"}', inputs=(meeting,)), context)
        assert raised.value.code == "worker_crashed"
        await killed
        again = SttHandler(handler.engine, handler.model_size, handler.checkpoints, rule=RULE)
        second = ChildContext(pool)
        result = await again(request('{"language":"ko"}', inputs=(meeting,)), second)
        unbroken = ChildContext(pool)
        reference = SttHandler(handler.engine, handler.model_size, MemoryCheckpoints(), rule=RULE)
        expected = await reference(request('{"language":"ko"}', inputs=(meeting,)), unbroken)
    assert context.calls == [None, 0, 1, 2]
    assert second.calls == [None, *range(2, len(unbroken.calls) - 1)]
    assert second.reported[0].done > 0
    got, wanted = (orjson.loads(r.outputs[0].inline or b"") for r in (result, expected))
    assert got == wanted


async def test_a_finished_recording_is_not_transcribed_again(handler: SttHandler, meeting: Payload) -> None:
    """The result was lost on its way to the log: only the joining is repeated. Another epoch begins anew."""
    async with children() as pool:
        first = await handler(request(inputs=(meeting,)), ChildContext(pool))
        repeated, replayed = ChildContext(pool), ChildContext(pool)
        second = await handler(request(inputs=(meeting,)), repeated)
        await handler(request(inputs=(meeting,), epoch=1), replayed)
    assert repeated.calls == [None]
    assert second == first
    assert replayed.calls[1] == 0


async def test_cancelling_ends_the_work_at_once(
    handler: SttHandler, meeting: Payload, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """The child is gone and what was finished is kept."""
    async with children() as pool:
        context = ChildContext(pool)
        job = asyncio.create_task(handler(request(inputs=(meeting,)), context))
        await wait_until(lambda: 1 in context.calls)
        running = _child_processes()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await wait_until(lambda: not any(psutil.pid_exists(pid) for pid in running))
    assert running
    assert isinstance(handler.checkpoints, MemoryCheckpoints)
    assert len(handler.checkpoints.saved) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"no recording", "audio_damaged"), (b"", "audio_empty")],
)
async def test_bad_input_is_told_from_bad_luck(handler: SttHandler, content: bytes, code: str) -> None:
    """These are not tried again."""
    with pytest.raises(InvalidInput) as raised:
        await handler(request(inputs=(Payload("audio/mpeg", "a.mp3", inline=content),)), FakeContext())
    assert raised.value.code == code


async def test_one_recording_a_job(handler: SttHandler) -> None:
    """Two files are two jobs."""
    with pytest.raises(InvalidInput) as raised:
        await handler(request(inputs=(Payload("audio/wav"), Payload("audio/wav"))), FakeContext())
    assert raised.value.code == "one_recording"


async def test_a_recording_over_the_limit(handler: SttHandler, meeting: Payload) -> None:
    """Refused before the model is touched."""
    limited = SttHandler(handler.engine, 1, MemoryCheckpoints(), Limits(max_seconds=30), RULE)
    with pytest.raises(InvalidInput) as raised:
        await limited(request(inputs=(meeting,)), FakeContext())
    assert raised.value.code == "audio_too_long"


async def test_a_store_that_is_down_is_waited_for(handler: SttHandler, meeting: Payload) -> None:
    """An outage, which costs no attempt."""
    assert isinstance(handler.checkpoints, MemoryCheckpoints)
    handler.checkpoints.down = True
    with pytest.raises(Outage):
        await handler(request(inputs=(meeting,)), FakeContext())


async def test_a_model_that_went_away_is_an_outage(meeting: Payload, tmp_path: Path) -> None:
    """Not a fault of the recording."""
    gone = SttHandler(EngineChoice(str(tmp_path / "gone"), "gone", 1), 1, MemoryCheckpoints(), rule=RULE)
    with pytest.raises(ModelMissing):
        await gone(request(inputs=(meeting,)), FakeContext())


async def test_what_another_version_stored_is_done_again(handler: SttHandler, tmp_path: Path) -> None:
    """A checkpoint that cannot be read costs its window, not the job."""

    class Unreadable(MemoryCheckpoints):
        async def load(self, key: CheckpointKey) -> bytes | None:
            return b"{}"

    path = write(tmp_path / "a.wav", tone(3))
    odd = SttHandler(handler.engine, handler.model_size, Unreadable(), rule=RULE)
    result = await odd(request(inputs=(Payload("audio/wav", "a.wav", inline=path.read_bytes()),)), FakeContext())
    assert result.usage.audio_seconds == pytest.approx(3)


def test_the_processor_is_as_the_settings_want_it(tiny_model: Path) -> None:
    """One child with its model unless more are wanted, and memory for it."""
    model = find_model(str(tiny_model), ())
    processor = build_processor(Settings.from_env({"GATEWAY_WORKERS": "2"}), model, MemoryCheckpoints())
    assert processor.topics.kind == "stt"
    assert processor.concurrency == 3
    assert processor.child_memory_bytes > 3 * model.size


async def _kill_children(when: Awaitable[None]) -> None:
    await when
    for pid in _child_processes():
        os.kill(pid, signal.SIGKILL)


def _child_processes() -> list[int]:
    found = psutil.Process().children(recursive=True)
    return [child.pid for child in found if "streams.runtime.child_main" in " ".join(child.cmdline())]
