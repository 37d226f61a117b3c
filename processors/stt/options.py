"""What callers may set, read from a request: the job's options, and the step's own settings above them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from processors.stt.engine import Ask
from processors.stt.formats import FORMATS
from schemas.errors import InvalidInput
from schemas.events import StageRequest

TASKS = ("transcribe", "translate")


@dataclass(frozen=True, slots=True)
class SttOptions:
    """How to transcribe, and the form of the result."""

    ask: Ask
    form: str


def read_options(request: StageRequest) -> SttOptions:
    """Read a request's options; those of other steps are passed over.

    Raises InvalidInput (`invalid_option`) that names the option.
    """
    given = {**_mapping(request.options), **_mapping(request.step.config)}
    ask = Ask(
        language=_text(given, "language").lower(),
        task=_one_of(given, "task", TASKS),
        words=_flag(given, "word_timestamps", False),
        vad=_flag(given, "vad", True),
        prompt=_text(given, "initial_prompt"),
        temperature=_share(given, "temperature"),
    )
    return SttOptions(ask, _one_of(given, "format", FORMATS))


def _mapping(raw: str) -> Mapping[str, Any]:
    body: object = orjson.loads(raw) if raw else {}
    return cast("Mapping[str, Any]", body) if isinstance(body, dict) else {}


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str):
        raise _invalid(name, value, "a text")
    return value.strip()


def _flag(given: Mapping[str, Any], name: str, default: bool) -> bool:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _invalid(name, value, "true or false")
    return value


def _share(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name) or 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _invalid(name, value, "a number from 0 to 1")
    return float(value)


def _one_of(given: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = given.get(name) or allowed[0]
    if value not in allowed:
        raise _invalid(name, value, "one of " + ", ".join(allowed))
    return str(value)


def _invalid(name: str, value: object, expected: str) -> InvalidInput:
    # Prompts are content: only the kind of a wrong value is told, unless it is short and no prompt.
    shown = type(value).__name__ if name == "initial_prompt" else repr(value)[:80]
    return InvalidInput(
        f"option {name}: {shown} is not {expected}", code="invalid_option", remedy=f"{name} takes {expected}"
    )
