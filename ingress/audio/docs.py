"""What the OpenAPI document says of the audio routes. Pure."""

from typing import Any

from ingress.audio.form import FORMATS, GRANULARITIES, PUBLIC_MODEL

_TEXT = "안녕하십니까. 회의를 시작하겠습니다."
_USAGE = {"type": "duration", "seconds": 4}
_SEGMENT = {
    "id": 0,
    "seek": 0,
    "start": 0.0,
    "end": 3.6,
    "text": _TEXT,
    "tokens": [],
    "temperature": 0.0,
    "avg_logprob": -0.21,
    "compression_ratio": 1.1,
    "no_speech_prob": 0.02,
}

_REFUSALS = {
    400: "A field that is wrong, or a recording that cannot be read (`audio_damaged`, `audio_empty`, `no_audio`, …)",
    401: "No API key, or none that opens anything",
    403: "The key has not the scope `jobs`",
    404: "No such speech model (`model_not_found`)",
    409: "The Idempotency-Key was used with other content, or the job was cancelled",
    413: "The recording is too large",
    415: "The file is no recording",
    429: "A quota is used up; see Retry-After",
    500: "The work failed for good; `code` says why",
    503: "Not accepted now (`module_unavailable`: no speech model serves); see Retry-After",
    504: "Not done in time (`transcription_timeout`): it goes on as the job that `X-Job-Id` and the message name",
}


def openapi_of(task: str) -> dict[str, Any]:
    """Return the keyword arguments of the task's route: `transcribe` or `translate`."""
    what = "Transcribe a recording" if task == "transcribe" else "Translate a recording into English"
    return {
        "summary": f"{what} (OpenAI)",
        "tags": ["audio"],
        "operation_id": f"audio_{task}",
        "responses": {200: _answers(task)} | {status: _refusal(text) for status, text in _REFUSALS.items()},
        "openapi_extra": {
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "description": "the same key and content give the same job, once; a caller who left may ask again",
                    "schema": {"type": "string"},
                }
            ],
            "requestBody": {"required": True, "content": {"multipart/form-data": _form(task)}},
        },
    }


def _form(task: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "wav, mp3, m4a, ogg, flac, webm, or an mp4 with sound",
        },
        "model": {"type": "string", "description": f"`{PUBLIC_MODEL}`, `stt`, or the model's own name"},
        "prompt": {"type": "string", "description": "names and words that are said, or the text before"},
        "response_format": {"type": "string", "enum": list(FORMATS), "default": "json"},
        "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    }
    example: dict[str, Any] = {"file": "meeting.mp3", "model": PUBLIC_MODEL}
    if task == "transcribe":
        fields["language"] = {"type": "string", "description": "ISO 639-1 (ko); found out if left out"}
        fields["timestamp_granularities[]"] = {
            "type": "array",
            "items": {"type": "string", "enum": list(GRANULARITIES)},
            "default": ["segment"],
            "description": "with `verbose_json`",
        }
        example |= {"language": "ko", "response_format": "verbose_json"}
    schema = {"type": "object", "required": ["file", "model"], "properties": fields, "additionalProperties": False}
    return {"schema": schema, "examples": {"meeting": {"value": example}}}


def _answers(task: str) -> dict[str, Any]:
    text = _TEXT if task == "transcribe" else "Good morning. Let us begin."
    verbose = {
        "task": task,
        "language": "korean" if task == "transcribe" else "english",
        "duration": 3.9,
        "text": text,
        "segments": [{**_SEGMENT, "text": text}],
        "usage": _USAGE,
    }
    values = {"json": {"text": text, "usage": _USAGE}, "verbose_json": verbose}
    subtitles = {
        "text/plain": text,
        "application/x-subrip": f"1\n00:00:00,000 --> 00:00:03,600\n{text}\n",
        "text/vtt": f"WEBVTT\n\n00:00:00.000 --> 00:00:03.600\n{text}\n",
    }
    number = {"type": "number"}
    word = {"type": "object", "properties": {"word": {"type": "string"}, "start": number, "end": number}}
    schema = {
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": {"type": "string"},
            "task": {"type": "string"},
            "language": {"type": "string", "description": "its English name"},
            "duration": {"type": "number", "description": "seconds"},
            "segments": {"type": "array", "items": {"type": "object"}},
            "words": {"type": "array", "items": word},
            "usage": {"type": "object"},
        },
    }
    json = {"schema": schema, "examples": {name: {"value": value} for name, value in values.items()}}
    return {
        "description": "What is said, in the form that was asked for; `X-Job-Id` names the job",
        "content": {
            "application/json": json,
            **{kind: {"schema": {"type": "string"}, "example": value} for kind, value in subtitles.items()},
        },
    }


def _refusal(text: str) -> dict[str, Any]:
    error = {
        "type": "object",
        "properties": {name: {"type": ["string", "null"]} for name in ("message", "type", "param", "code")},
    }
    schema = {"type": "object", "required": ["error"], "properties": {"error": error}}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
