"""The `stt` stage: a recording in, its text out. Windows are transcribed one after another in a child process."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from processors.stt import checkpoints as kept
from processors.stt import note
from processors.stt.engine import RATE
from processors.stt.formats import as_payload
from processors.stt.limits import Limits
from processors.stt.models import Model
from processors.stt.options import read_options
from processors.stt.transcripts import assemble, follows, next_ask, resume_point
from processors.stt.windows import WindowRule
from processors.stt.work import EngineChoice, Recording, WindowDone, WindowWork
from schemas import topics
from schemas.errors import InvalidInput
from schemas.events import StageRequest, Usage
from schemas.payloads import Payload
from streams.container import cores
from streams.runtime.processor import Context, Processor, Result
from streams.settings import MIB, Settings
from streams.storage.checkpoints import Checkpoints, checkpoint_key

if TYPE_CHECKING:
    from processors.stt.audio import AudioFacts

_INSPECT = "processors.stt.child:inspect"
_TRANSCRIBE = "processors.stt.child:transcribe"

INSPECT_TIMEOUT_S = 120.0

WINDOW_TIMEOUT_S = 3600.0
"""Ten minutes of sound on a machine that needs six times as long; a hang is noticed after that."""

ATTEMPT_TIMEOUT_S = INSPECT_TIMEOUT_S + 2 * WINDOW_TIMEOUT_S
"""From one progress of a recording to the next: its turn after another's window, and a window of its own."""

_TELL_EVERY_S = 1.0

_BASE_MEMORY_BYTES = 2048 * MIB
"""Libraries, one window with its spectrum (0.4 GiB), and room: a child above 0.6 of its limit is replaced."""


@dataclass(frozen=True, slots=True)
class SttHandler:
    """Transcribes recordings, window by window; jobs take turns at the children, which hold a model each."""

    engine: EngineChoice
    model_size: int
    checkpoints: Checkpoints
    limits: Limits = field(default_factory=Limits)
    rule: WindowRule = field(default_factory=WindowRule)

    async def __call__(self, request: StageRequest, context: Context) -> Result:
        """Transcribe the request's recording.

        May run twice for one request: it goes on after the last window that is finished. Raises
        InvalidInput (`audio_empty`, `audio_damaged`, `no_audio`, `audio_too_long`, `one_recording`,
        `unknown_language`, `invalid_option`).
        """
        options = read_options(request)
        payload = _only_recording(request)
        name = payload.name or "the recording"
        mark = kept.work_mark(self.engine.engine, self.engine.model, self.model_size, self.rule, options.ask)
        done = await self._finished(request, mark)
        _tell(context, done)
        async with context.as_file(payload) as path:
            recording = Recording(str(path), name, self.limits)
            facts = cast("AudioFacts", await context.call(_INSPECT, recording, timeout_s=INSPECT_TIMEOUT_S))
            total = math.ceil(facts.seconds)
            await context.progress(_seconds_done(done), total, "seconds")
            while (point := resume_point(done)) is not None:
                work = WindowWork(
                    recording, self.engine, next_ask(options.ask, done), self.rule, point.index, point.start, note=""
                )
                begun = time.monotonic()
                try:
                    window = await self._transcribe(work, _seconds_done(done), total, context)
                    # A crash before the next line repeats this window; after it, nothing.
                    await self.checkpoints.save(checkpoint_key(request, mark, point.index), kept.encode(window))
                except BaseException:
                    _tell(context, done, lost_s=time.monotonic() - begun)
                    raise
                done.append(window)
                _tell(context, done)
                await context.progress(min(total, _seconds_done(done)), total, "seconds")
        transcript = assemble(done, options.ask.task, facts.warnings)
        return Result(
            outputs=(as_payload(transcript, options.form, PurePath(name).stem or "recording"),),
            usage=Usage(
                audio_seconds=transcript.duration_s,
                # Of every window in the result, whichever attempt did it.
                work_seconds=_work_s(done),
                bytes_in=payload.size,
            ),
            model=transcript.engine,
        )

    async def _finished(self, request: StageRequest, mark: str) -> list[WindowDone]:
        """Return the windows that earlier attempts finished, from the first on without a gap."""
        done: list[WindowDone] = []
        while resume_point(done) is not None:
            content = await self.checkpoints.load(checkpoint_key(request, mark, len(done)))
            if content is None:
                break
            try:
                window = kept.decode(content)
            except ValueError:
                break  # written by another version: that window is done again
            if not follows(window, done):
                break
            done.append(window)
        return done

    @staticmethod
    async def _transcribe(work: WindowWork, done: int, total: int, context: Context) -> WindowDone:
        """Run one window in a child and tell of its progress meanwhile. Cancelling it ends the child."""
        with TemporaryDirectory(prefix="stt-") as folder:
            note_file = Path(folder) / "progress"
            note.make(note_file)
            call = asyncio.ensure_future(
                context.call(_TRANSCRIBE, replace(work, note=str(note_file)), timeout_s=WINDOW_TIMEOUT_S)
            )
            try:
                while not (await asyncio.wait({call}, timeout=_TELL_EVERY_S))[0]:
                    heard = min(total, int(work.start / RATE + note.read(note_file)))
                    if heard > done:
                        done = heard
                        await context.progress(done, total, "seconds")
                return cast("WindowDone", call.result())
            finally:
                if not call.done():
                    call.cancel()
                    await asyncio.wait({call})


def build_processor(settings: Settings, model: Model, checkpoints: Checkpoints) -> Processor:
    """Return the `stt` processor with its model, as the settings want it."""
    workers = child_count(settings)
    handler = SttHandler(
        engine=EngineChoice(model.directory, model.name, threads=threads_of_a_child(workers)),
        model_size=model.size,
        checkpoints=checkpoints,
        limits=Limits(max_seconds=settings.stt_max_hours * 3600.0),
    )
    return Processor(
        topics=topics.STT,
        handle=handler,
        # One more than there are workers: a recording is fetched while the others are transcribed.
        concurrency=workers + 1,
        child_timeout_s=WINDOW_TIMEOUT_S,
        # Weights are converted while they are loaded, so that they are there twice for a moment.
        child_memory_bytes=_BASE_MEMORY_BYTES + 3 * model.size,
        attempt_timeout_s=ATTEMPT_TIMEOUT_S,
        settle=checkpoints.remove,
    )


def child_count(settings: Settings) -> int:
    """Return how many children the stage wants: one, unless set; each holds a model and uses several cores."""
    return settings.workers or 1


def threads_of_a_child(children: int) -> int:
    """Return how many cores each of several children may use."""
    return max(1, cores() // children)


def _only_recording(request: StageRequest) -> Payload:
    if len(request.inputs) != 1:
        raise InvalidInput(
            f"{len(request.inputs)} files were sent; a job transcribes one recording",
            code="one_recording",
            remedy="send one job for each recording",
        )
    return request.inputs[0]


def _seconds_done(done: list[WindowDone]) -> int:
    return done[-1].border // RATE if done else 0


def _work_s(done: Sequence[WindowDone]) -> float:
    return round(sum(window.work_seconds for window in done), 3)


def _tell(context: Context, done: list[WindowDone], lost_s: float = 0.0) -> None:
    """Tell what was used: windows are kept, whichever attempt did them; `lost_s` went into one that broke off."""
    kept_so_far = Usage(audio_seconds=_seconds_done(done), work_seconds=_work_s(done))
    used = replace(kept_so_far, work_seconds=kept_so_far.work_seconds + lost_s)
    context.spent(Result((), used, kept_so_far, model=done[-1].engine if done else ""))
