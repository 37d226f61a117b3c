"""What a caller of the audio routes sends: OpenAI's form fields, read and turned into options of the module `stt`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from ingress.multipart import MultipartReader
from ingress.problems import Problem
from ingress.uploads import Uploads
from schemas.payloads import Payload

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("segment", "word")
PUBLIC_MODEL = "whisper-1"
"""The name that OpenAI's clients send; it stands for the gateway's own model."""

_KNOWN = frozenset({"model", "language", "prompt", "response_format", "temperature", "timestamp_granularities"})
_IGNORED = frozenset({"stream", "include", "chunking_strategy"})
"""Fields of other models of OpenAI: an answer without what they ask for is still an answer."""

_FIELD_LIMIT_BYTES = 64 * 1024
_MAX_FIELDS = 32
"""More than anybody has use for; what a caller can make ingress keep is bounded by it."""


@dataclass(frozen=True, slots=True)
class AudioCall:
    """A call that is well formed: the recording, the job's options and the form of the answer."""

    recording: Payload
    options: Mapping[str, Any]
    form: str
    granularities: tuple[str, ...]


async def read_form(request: Request, uploads: Uploads, task: str) -> tuple[Payload, dict[str, list[str]]]:
    """Read the form of a task; the recording is in the blob store when this returns.

    Raises Problem (a field that the task has not, as soon as it comes), InvalidInput, Outage.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise bad("file", "the body is no multipart form", "send the recording as multipart/form-data")
    uploads.check_length(request.headers.get("content-length"))
    reader = MultipartReader(content_type.encode("latin-1"), uploads.bounded(request.stream()))
    recording: Payload | None = None
    fields: dict[str, list[str]] = {}
    count = 0
    async for part in reader.parts():
        if part.name == "file":
            if recording is not None:
                raise bad("file", "there are two files", "send one recording a call")
            recording = await uploads.store(part.filename or "", part.content_type, reader.content())
            continue
        name = part.name.removesuffix("[]")
        _check_name(name, task)
        count += 1
        if count > _MAX_FIELDS:
            raise bad(name, f"there are more than {_MAX_FIELDS} fields", "send each of them once")
        fields.setdefault(name, []).append(await reader.text(_FIELD_LIMIT_BYTES))
    if recording is None:
        raise bad("file", "the form has no file", "send the recording in the field file")
    return recording, fields


def call_of(recording: Payload, fields: Mapping[str, Sequence[str]], task: str, models: Sequence[str]) -> AudioCall:
    """Return what is asked for. Raises Problem that names the field; `models` are the names that stand for ours."""
    single = {name: values[-1] for name, values in fields.items()}
    _check_model(single.get("model", ""), models)
    form = single.get("response_format") or "json"
    if form not in FORMATS:
        raise bad("response_format", f"{form[:80]!r} is none", f"use one of {', '.join(FORMATS)}")
    granularities = tuple(dict.fromkeys(fields.get("timestamp_granularities", ()))) or ("segment",)
    if any(each not in GRANULARITIES for each in granularities):
        raise bad("timestamp_granularities", "there is one that is none", f"use {' or '.join(GRANULARITIES)}")
    if "timestamp_granularities" in fields and form != "verbose_json":
        raise bad("timestamp_granularities", f"{form} has no times", "set response_format to verbose_json")
    options: dict[str, Any] = {"task": task, "word_timestamps": "word" in granularities}
    options["format"] = form if form in ("text", "srt", "vtt") else "json"
    if single.get("language", "").strip():
        options["language"] = single["language"].strip().lower()
    if single.get("prompt", "").strip():
        options["initial_prompt"] = single["prompt"]
    options["temperature"] = _temperature(single.get("temperature") or "0")
    return AudioCall(recording, options, form, granularities)


def bad(field: str, problem: str, remedy: str, *, status: int = 400, code: str = "invalid_request") -> Problem:
    """Return the error for a field of the form."""
    return Problem(status, code, f"{field}: {problem}", remedy)


def _check_name(name: str, task: str) -> None:
    known = _KNOWN if task == "transcribe" else _KNOWN - {"language", "timestamp_granularities"}
    if name not in known | _IGNORED:
        raise bad(name[:80], "there is no such field", f"the fields are file, {', '.join(sorted(known))}")


def _check_model(name: str, models: Sequence[str]) -> None:
    if not name:
        raise bad("model", "it is missing", f"send model={models[0]}")
    if name not in models:
        raise bad(
            "model",
            f"there is no speech model {name[:80]!r}",
            f"use one of {', '.join(models)}",
            status=404,
            code="model_not_found",
        )


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise bad("temperature", f"{text[:20]!r} is no number from 0 to 1", "leave it out, or send such a number")
    return value
