"""The job's result in the shapes of OpenAI's audio routes. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from ingress.audio.languages import name_of

MEDIA_TYPES = {
    "json": "application/json",
    "verbose_json": "application/json",
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def answer(result: bytes, form: str, granularities: Sequence[str]) -> bytes:
    """Return the body of an answer in `form` from the result of a job that was submitted for it."""
    if form not in ("json", "verbose_json"):
        return result
    body = cast("dict[str, Any]", orjson.loads(result))
    usage = {"type": "duration", "seconds": math.ceil(body["duration"])}
    if form == "json":
        return orjson.dumps({"text": body["text"], "usage": usage})
    said: dict[str, Any] = {
        "task": body["task"],
        "language": "english" if body["task"] == "translate" else name_of(body["language"]),
        "duration": body["duration"],
        "text": body["text"],
    }
    segments = cast("list[dict[str, Any]]", body["segments"])
    if "word" in granularities:
        said["words"] = [
            {"word": word["word"], "start": word["start"], "end": word["end"]}
            for segment in segments
            for word in segment.get("words", ())
        ]
    if "segment" in granularities:
        said["segments"] = [_segment(segment) for segment in segments]
    return orjson.dumps({**said, "usage": usage})


def _segment(segment: Mapping[str, Any]) -> dict[str, Any]:
    # Tokens and seek are the engine's insides, which are not kept; clients want the fields to be there.
    kept = ("id", "start", "end", "text", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob")
    return {"seek": 0, "tokens": [], **{name: segment[name] for name in kept}}
