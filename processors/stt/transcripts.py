"""From the finished windows to the whole: where to go on, what to say before it, and the transcript. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.stt.engine import RATE, Ask
from processors.stt.segments import Piece, merge
from processors.stt.speech import Transcript
from processors.stt.work import WindowDone

_CARRIED_CHARACTERS = 200
"""Enough of the last sentences for style and names; Whisper reads 223 tokens at most."""

_DOUBTFUL_TEMPERATURE = 0.5
"""Above it the engine was guessing; it does not build on such text itself."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The next window to do: its number and its first sample."""

    index: int
    start: int


def resume_point(done: Sequence[WindowDone]) -> Resume | None:
    """Return what to do next, or None when the last window is finished."""
    if not done:
        return Resume(0, 0)
    return None if done[-1].last else Resume(done[-1].index + 1, done[-1].next_start)


def follows(window: WindowDone, done: Sequence[WindowDone]) -> bool:
    """Tell whether a stored window goes on where the finished ones end."""
    return resume_point(done) == Resume(window.index, window.start)


def next_ask(ask: Ask, done: Sequence[WindowDone]) -> Ask:
    """Return how to transcribe the next window: in the language found before, led by what was said last."""
    if not done:
        return ask
    language = ask.language or found_language(done)[0]
    segments = done[-1].segments
    carried = ""
    if segments and segments[-1].temperature <= _DOUBTFUL_TEMPERATURE:
        carried = " ".join(segment.text.strip() for segment in segments[-20:])[-_CARRIED_CHARACTERS:]
    return replace(ask, language=language, prompt=f"{ask.prompt} {carried}".strip())


def found_language(done: Sequence[WindowDone]) -> tuple[str, float]:
    """Return the language of the first window in which somebody spoke, and how sure that is."""
    spoken = next((window for window in done if window.language_confidence > 0), None)
    return (spoken.language, spoken.language_confidence) if spoken is not None else ("", 0.0)


def assemble(done: Sequence[WindowDone], task: str, warnings: Sequence[str]) -> Transcript:
    """Return the transcript of a recording whose windows are all finished."""
    segments = merge(pieces(done))
    language, confidence = found_language(done)
    bad_packets = sum(window.bad_packets for window in done)
    notes = list(warnings)
    if bad_packets:
        notes.append(f"damaged: {bad_packets} packets of sound could not be decoded and are missing")
    if not segments:
        notes.append("no speech found")
    return Transcript(
        engine=done[-1].engine,
        task=task,
        language=language if segments else "",
        language_confidence=confidence if segments else 0.0,
        duration_s=round(done[-1].end / RATE, 3),
        segments=segments,
        warnings=tuple(notes),
    )


def pieces(done: Sequence[WindowDone]) -> list[Piece]:
    """Return what each window heard with the part that is its own: from border to border."""
    borders = [0.0, *(window.border / RATE for window in done)]
    # Segments may end exactly where the recording does, and may have no length there.
    borders[-1] = float("inf")
    return [Piece(window.segments, borders[number], borders[number + 1]) for number, window in enumerate(done)]
