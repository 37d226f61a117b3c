"""What an attempt tells of its use: windows are kept for the next one, so they are charged once."""

from types import SimpleNamespace
from typing import Any

import pytest

from processors.stt.handler import SttHandler
from processors.stt.work import EngineChoice, WindowDone
from schemas.errors import Transient
from schemas.events import StageRequest
from schemas.payloads import Payload
from streams.runtime.testing import FakeContext
from streams.storage.checkpoints import MemoryCheckpoints
from tests.unit.stt.builders import request, said, window

WINDOWS = (
    window(0, 0, 600, said("one", 1, 2), work_seconds=30.0),
    window(1, 600, 1200, said("two", 601, 602), work_seconds=20.0),
    window(2, 1200, 1500, said("three", 1201, 1202), work_seconds=10.0, last=True),
)


class Windows(FakeContext):
    """Gives windows instead of transcribing; the window `breaks` fails."""

    def __init__(self, breaks: int | None = None) -> None:
        super().__init__()
        self._breaks = breaks

    async def call(self, function: str, *args: Any, timeout_s: float | None = None, pool: str = "") -> Any:
        """Answer as the child would."""
        del timeout_s, pool
        if function.endswith(":inspect"):
            return SimpleNamespace(seconds=1500.0, warnings=())
        index: int = args[0].index
        if index == self._breaks:
            raise Transient("its child was killed", code="worker_crashed")
        found: WindowDone = WINDOWS[index]
        return found


@pytest.fixture
def handler() -> SttHandler:
    return SttHandler(EngineChoice("nowhere", "tiny"), 1, MemoryCheckpoints())


@pytest.fixture
def recording() -> StageRequest:
    return request(inputs=(Payload("audio/mpeg", "meeting.mp3", inline=b"sound"),))


async def test_windows_that_are_finished_are_kept_for_the_next_attempt(
    handler: SttHandler, recording: StageRequest
) -> None:
    context = Windows(breaks=2)
    with pytest.raises(Transient):
        await handler(recording, context)
    told = context.used[-1]
    assert (told.usage.audio_seconds, told.kept.audio_seconds) == (1200, 1200)
    assert told.kept.work_seconds == 50.0
    assert told.usage.work_seconds >= told.kept.work_seconds, "the window that broke took its time"


async def test_what_earlier_attempts_kept_is_told_before_anything_else(
    handler: SttHandler, recording: StageRequest
) -> None:
    """So an attempt that is cancelled, or fails for good, is charged for all of it."""
    with pytest.raises(Transient):
        await handler(recording, Windows(breaks=2))
    context = Windows(breaks=2)
    with pytest.raises(Transient):
        await handler(recording, context)
    assert [told.usage.audio_seconds for told in context.used] == [1200, 1200]
    assert [told.kept.audio_seconds for told in context.used] == [1200, 1200]
    last = Windows()
    result = await handler(recording, last)
    assert (result.usage.audio_seconds, result.usage.work_seconds) == (1500, 60.0)
