"""Dead letters as they are shown: what is on them, without a document's text, a prompt or a key."""

from dataclasses import fields, is_dataclass
from typing import Any, cast

import orjson

from schemas.dead_letters import Letter
from schemas.job_view import iso_time

_JSON_TEXTS = frozenset({"options", "config"})
_SECRET = frozenset({"secret_sha256"})


def summary(letter: Letter) -> dict[str, Any]:
    """Return one line of the list."""
    return {
        "id": str(letter.source),
        "job_id": letter.job_id,
        "service": letter.service,
        "stage": letter.stage,
        "attempts": int(letter.attempts) if letter.attempts.isdecimal() else 0,
        "code": letter.code,
        "message": letter.message,
        "at": iso_time(letter.at_ms),
        "times": letter.times,
    }


def full(letter: Letter, record: object | None) -> dict[str, Any]:
    """Return everything about a letter that may be shown."""
    return {
        **summary(letter),
        "headers": {name: value.decode(errors="replace") for name, value in sorted(letter.headers.items())},
        "bytes": len(letter.value or b""),
        "record_type": type(record).__name__ if record is not None else None,
        "record": shown(record) if record is not None else None,
    }


def shown(value: object) -> Any:
    """Return a record as JSON would hold it; contents and texts become their sizes."""
    if is_dataclass(value):
        return {f.name: _field(f.name, getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple):
        return [shown(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {str(name): shown(item) for name, item in cast("dict[object, object]", value).items()}
    return value


def _field(name: str, value: object) -> Any:
    if name in _JSON_TEXTS and isinstance(value, str) and value:
        return _options(value)
    if name in _SECRET:
        return "<hidden>"
    return shown(value)


def _options(text: str) -> Any:
    # Options may hold prompts and glossaries: their texts are told by length, numbers and switches as they are.
    try:
        return _masked(orjson.loads(text))
    except orjson.JSONDecodeError:
        return f"<{len(text)} characters>"


def _masked(value: object) -> Any:
    if isinstance(value, dict):
        return {str(name): _masked(item) for name, item in cast("dict[object, object]", value).items()}
    if isinstance(value, list):
        return [_masked(item) for item in cast("list[object]", value)]
    return f"<{len(value)} characters>" if isinstance(value, str) else value
