"""A transcript as JSON, plain text, SubRip (SRT) or WebVTT. Pure."""

import html
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from processors.stt.speech import Segment, Transcript
from schemas.payloads import Payload, json_payload

FORMATS = ("json", "text", "srt", "vtt")

_SHORTEST_CUE_S = 0.5
"""WebVTT wants an end after the start, and a reader wants to see it. Cues may overlap."""


def as_payload(transcript: Transcript, form: str, stem: str) -> Payload:
    """Return the transcript in one of `FORMATS`, named after the recording's `stem`."""
    match form:
        case "text":
            return Payload("text/plain; charset=utf-8", f"{stem}.txt", to_text(transcript).encode())
        case "srt":
            return Payload("application/x-subrip; charset=utf-8", f"{stem}.srt", to_srt(transcript).encode())
        case "vtt":
            return Payload("text/vtt; charset=utf-8", f"{stem}.vtt", to_vtt(transcript).encode())
        case _:
            return json_payload(to_json(transcript), name=f"{stem}.json")


def to_json(transcript: Transcript) -> bytes:
    """Encode everything that is known about the recording."""
    return orjson.dumps(
        {
            "engine": transcript.engine,
            "task": transcript.task,
            "language": transcript.language,
            "language_confidence": transcript.language_confidence,
            "duration": transcript.duration_s,
            "text": transcript.text,
            "segments": [_segment(number, segment) for number, segment in enumerate(transcript.segments)],
            "warnings": transcript.warnings,
        }
    )


def to_text(transcript: Transcript) -> str:
    """Write one segment a line."""
    return "".join(f"{line}\n" for segment in transcript.segments if (line := _one_line(segment.text)))


def to_srt(transcript: Transcript) -> str:
    """Write subtitles in SubRip's form; empty when nothing was said."""
    return "".join(
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{_one_line(segment.text)}\n\n"
        for number, segment in enumerate(_cues(transcript), 1)
    )


def to_vtt(transcript: Transcript) -> str:
    """Write subtitles in WebVTT's form, in which `<`, `>` and `&` have to be escaped."""
    cues = (
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n"
        f"{html.escape(_one_line(segment.text), quote=False)}\n\n"
        for segment in _cues(transcript)
    )
    return "WEBVTT\n\n" + "".join(cues)


def confidence(segment: Segment) -> float:
    """Return how sure the engine is of a segment, from 0 to 1: the mean probability of its tokens."""
    return round(math.exp(min(0.0, segment.average_log_probability)), 4)


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": number,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text.strip(),
        "confidence": confidence(segment),
        "avg_logprob": segment.average_log_probability,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_probability,
        "temperature": segment.temperature,
    }
    if segment.words:
        body["words"] = [
            {"word": word.text.strip(), "start": word.start, "end": word.end, "confidence": word.confidence}
            for word in segment.words
        ]
    return body


def _cues(transcript: Transcript) -> Iterator[Segment]:
    for segment in transcript.segments:
        if _one_line(segment.text):
            yield replace(segment, end=max(segment.end, segment.start + _SHORTEST_CUE_S))


def _one_line(text: str) -> str:
    # An empty line would end a subtitle.
    return " ".join(text.split())


def _clock(seconds: float, mark: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}{mark}{milliseconds:03d}"
