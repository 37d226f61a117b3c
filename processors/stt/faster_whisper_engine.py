"""faster-whisper on CTranslate2: int8 on a CPU, float16 on a GPU. Imported in child processes only."""

import math
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, cast

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

from processors.stt.engine import RATE, Ask, Heard, Samples, Tell
from processors.stt.models import ModelMissing
from processors.stt.speech import Segment, Word
from schemas.errors import InvalidInput, Transient

_SILENT_PEAK = 1e-4
"""-80 dB full scale: what never gets louder is silence, in which Whisper would hear sentences."""

_ONE_FRAME = 160
"""Samples of one step of the spectrum: less is nothing to the engine."""

_FRAMES = 3_000
"""Steps of the spectrum in 30 s."""

_NO_MODEL = "convert it again for CTranslate2 4, or set GATEWAY_STT_MODEL to another"
_NO_CUDA = "install cuBLAS 12 (the extra `cuda`), or hide the GPU with CUDA_VISIBLE_DEVICES="


class _Word(Protocol):
    word: str
    start: float
    end: float
    probability: float


class _Segment(Protocol):
    text: str
    start: float
    end: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float | None
    words: list[_Word] | None


class FasterWhisper:
    """A Whisper model that is loaded once and kept."""

    def __init__(self, directory: str, model: str, threads: int) -> None:
        device = "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
        try:
            self._model = WhisperModel(
                directory,
                device=device,
                compute_type="int8" if device == "cpu" else "float16",
                cpu_threads=threads,
                local_files_only=True,
            )
            if device == "cuda":
                # The libraries of CUDA are looked for at the first use only: a machine without the right ones is
                # to be known now, not by the jobs that fail.
                self._model.encode(np.zeros((self._model.feature_extractor.mel_filters.shape[0], _FRAMES), np.float32))
        except MemoryError:
            raise
        except Exception as error:  # bare ones too: that is what the tokenizer's library raises
            raise ModelMissing(
                f"the speech model in {directory} cannot be loaded on {device}: {_first_line(error)}",
                remedy=_NO_CUDA if "librar" in str(error).lower() else _NO_MODEL,
            ) from error
        self._name = f"faster-whisper-{version('faster-whisper')} {model} {device}"

    @property
    def name(self) -> str:
        """Engine, version, model and device, as results name them."""
        return self._name

    def hear(self, audio: Samples, ask: Ask, tell: Tell) -> Heard:
        """Transcribe some sound; segments are told of one by one as they are found."""
        if ask.language and ask.language not in self._model.supported_languages:
            raise InvalidInput(
                f"the speech model does not know the language {ask.language!r}",
                code="unknown_language",
                remedy="leave language out, or use one of: " + " ".join(sorted(self._model.supported_languages)),
            )
        if len(audio) < _ONE_FRAME or float(np.abs(audio).max()) < _SILENT_PEAK:
            return Heard(language=ask.language)
        try:
            found, info = self._model.transcribe(
                audio,
                language=ask.language or None,
                task=ask.task,
                word_timestamps=ask.words,
                vad_filter=ask.vad,
                initial_prompt=ask.prompt or None,
                temperature=_ladder(ask.temperature),
            )
            segments: list[Segment] = []
            for segment in cast("Iterable[_Segment]", found):
                tell(min(segment.end, len(audio) / RATE))
                segments.append(_plain(segment))
        except RuntimeError as error:  # CTranslate2's own, memory of the device included
            raise Transient(f"the speech engine failed: {_first_line(error)}", code="stt_failed") from error
        if ask.vad and info.duration_after_vad <= 0:
            return Heard(language=ask.language)  # the language was guessed from nothing
        return Heard(tuple(segments), info.language, round(float(info.language_probability), 4))


def open_engine(directory: str, model: str, threads: int) -> FasterWhisper:
    """Load a model. Raises ModelMissing when it cannot be."""
    if not Path(directory).is_dir():
        raise ModelMissing(f"the speech model's directory {directory} is gone", remedy="put it back")
    return FasterWhisper(directory, model, threads)


def _ladder(first: float) -> list[float]:
    """Return the temperatures to try in turn while the text is doubtful."""
    return [first, *(step for step in (0.2, 0.4, 0.6, 0.8, 1.0) if step > first)]


def _plain(segment: _Segment) -> Segment:
    """Return the segment with plain floats: NumPy's have got into some of its fields."""
    return Segment(
        text=segment.text,
        start=float(segment.start),
        end=float(segment.end),
        average_log_probability=_finite(segment.avg_logprob),
        compression_ratio=_finite(segment.compression_ratio),
        no_speech_probability=_finite(segment.no_speech_prob),
        temperature=float(segment.temperature or 0.0),
        words=tuple(
            Word(word.word, float(word.start), float(word.end), _finite(word.probability))
            for word in segment.words or ()
        ),
    )


def _finite(figure: float) -> float:
    value = float(figure)
    return round(value, 4) + 0.0 if math.isfinite(value) else 0.0  # and no -0.0


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
