"""A recording's finished windows as checkpoints: one after each, before the next, so that at most one is repeated."""

import hashlib
from dataclasses import asdict
from typing import Any

import orjson

from processors.stt.speech import Segment, Word
from processors.stt.work import WindowDone

_VERSION = 1


def work_mark(*parts: object) -> str:
    """Return a short mark that changes when anything changes that windows and their text depend on."""
    return hashlib.sha256(repr((_VERSION, *parts)).encode()).hexdigest()[:16]


def encode(done: WindowDone) -> bytes:
    """Encode a finished window."""
    return orjson.dumps(asdict(done))


def decode(content: bytes) -> WindowDone:
    """Decode a finished window. Raises ValueError when the content is none."""
    try:
        body: dict[str, Any] = orjson.loads(content)
        fields: dict[str, Any] = {**body, "segments": tuple(_segment(segment) for segment in body["segments"])}
        return WindowDone(**fields)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError("the checkpoint is no finished window") from error


def _segment(body: dict[str, Any]) -> Segment:
    fields: dict[str, Any] = {**body, "words": tuple(Word(**word) for word in body["words"])}
    return Segment(**fields)
