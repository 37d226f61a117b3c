"""What runs in the child processes: looking at a recording, and transcribing one window of it.

A child keeps one model, and the recordings that it read last at the place where it stopped, because
it is asked for their windows in a row. FFmpeg and the engine are imported here, on first use.
"""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from processors.stt import note
from processors.stt.availability import not_installed
from processors.stt.engine import RATE, Engine
from processors.stt.segments import shift
from processors.stt.windows import plan
from processors.stt.work import EngineChoice, Recording, WindowDone, WindowWork
from streams.container import cores

if TYPE_CHECKING:
    from processors.stt.audio import AudioFacts
    from processors.stt.audio_reader import AudioReader

_KEPT_RECORDINGS = 4


def inspect(recording: Recording) -> "AudioFacts":
    """Return a recording's length and form. Raises InvalidInput."""
    with _installed():
        from processors.stt import audio

    return audio.inspect(recording.path, recording.name, recording.limits)


def engine_name(choice: EngineChoice) -> str:
    """Load the model and return the engine's full name. Raises ModelMissing when it cannot be loaded."""
    return _engine(choice).name


def transcribe(work: WindowWork) -> WindowDone:
    """Transcribe one window. Raises InvalidInput, Transient or ModelMissing."""
    started = time.monotonic()
    engine = _engine(work.engine)
    place = _place_of(work.recording)
    try:
        return _transcribed(work, engine, place, started)
    except BaseException:
        place.close()  # a reader that failed stands nowhere
        raise


def _transcribed(work: WindowWork, engine: Engine, place: "_Place", started: float) -> WindowDone:
    reader = place.reader_at(work.start)
    bad_before = reader.bad_packets
    sound, at_end = reader.window(work.start, work.rule.samples)
    window = plan(work.index, work.start, sound, at_end, work.rule)
    note_file = Path(work.note)
    note.write(note_file, 0.0)
    heard = engine.hear(sound[: window.end - window.start], work.ask, lambda seconds: note.write(note_file, seconds))
    bad_packets = reader.bad_packets - bad_before
    if window.last:
        place.close()
    return WindowDone(
        index=window.index,
        start=window.start,
        end=window.end,
        border=window.border,
        next_start=window.next_start,
        last=window.last,
        engine=engine.name,
        segments=shift(heard.segments, window.start / RATE, window.end / RATE),
        language=heard.language,
        language_confidence=heard.language_confidence,
        work_seconds=time.monotonic() - started,
        bad_packets=bad_packets,
    )


class _Place:
    """Where a recording is being read; read from the beginning again when an earlier window is asked for."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._reader: AudioReader | None = None

    def reader_at(self, start: int) -> "AudioReader":
        from processors.stt.audio_reader import AudioReader

        if self._reader is None or self._reader.start > start:
            self.close()
            self._reader = AudioReader(self._recording.path, self._recording.name, start)
        return self._reader

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _place_of(recording: Recording) -> _Place:
    # Paths of temporary files are used again: the stamp tells one content from the next.
    stat = Path(recording.path).stat()
    return _kept_place(recording, (stat.st_ino, stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=_KEPT_RECORDINGS)
def _kept_place(recording: Recording, stamp: tuple[int, int, int]) -> _Place:
    del stamp  # only tells recordings apart
    return _Place(recording)


@lru_cache(maxsize=1)
def _engine(choice: EngineChoice) -> Engine:
    # Libraries read these when they are loaded. With the first, a missing file is an error at once and no
    # look-up; children are held to one thread by the others, which a model that is alone in its child is not.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.pop("OMP_THREAD_LIMIT", None)
    os.environ["OMP_NUM_THREADS"] = str(choice.threads or cores())
    with _installed():
        from processors.stt.faster_whisper_engine import open_engine

    return open_engine(choice.directory, choice.model, choice.threads)


@contextmanager
def _installed() -> Generator[None]:
    try:
        yield
    except ImportError as error:
        raise not_installed(error.name or "faster_whisper") from error
