"""What a caller asks of a replay, checked, as the request that is written. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.errors import InvalidInput
from schemas.events import TERMINAL
from schemas.replays import ReplayRequest
from schemas.topics import StageTopics
from streams.api_keys import check_service
from streams.modules import Module, Offered
from streams.replay.sources import find_source

MOST_A_SECOND = 10_000
DEFAULT_RATE = 50

FIELDS = ("from", "since", "until", "service", "status", "module", "model", "stage", "limit", "rate", "dry_run")
_MODULE = re.compile(r"([a-z0-9][a-z0-9._-]{0,79})(?:@(.{1,80}))?")


def replay_request(
    given: Mapping[str, Any], modules: Offered, stages: Mapping[str, StageTopics], now_ms: int
) -> ReplayRequest:
    """Return what a JSON body asks for.

    Raises InvalidInput naming the field; the code is `invalid_replay`, `reversed_times`, `unknown_module`,
    `unknown_version`, `no_model_option`, or one of streams.replay.sources.
    """
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise _invalid(f"there is no field {unknown[0][:80]!r}", f"fields are {', '.join(FIELDS)}")
    if not _text(given, "from"):
        raise _invalid("`from` is missing", "name a topic such as ocr.done, or a module such as gongmun")
    source = find_source(_text(given, "from"), _text(given, "stage"), modules, stages)
    since_ms, until_ms = _time(given, "since", 0), _time(given, "until", now_ms)
    if since_ms >= until_ms:
        what = "exchange the two" if given.get("until") else "give a time that has passed"
        raise InvalidInput(
            f"since ({given.get('since')}) is not before until ({given.get('until') or 'now'})",
            code="reversed_times",
            remedy=f"{what}; times are ISO 8601, UTC where they name no zone",
        )
    status = _text(given, "status")
    if status and status not in TERMINAL:
        known = ", ".join(sorted(TERMINAL))
        raise _invalid(f"status: {status[:80]!r} is none that a job ends with", f"use one of {known}")
    service = _text(given, "service")
    module, version = _target(_text(given, "module"), source.of_module, modules)
    model = _text(given, "model")
    if model and module is not None and "model" not in module.spec.options.get("properties", {}):
        raise InvalidInput(
            f"the module {module.spec.name} has no option `model`",
            code="no_model_option",
            remedy="leave --model out, or name a module that asks a model",
        )
    return ReplayRequest(
        source=_text(given, "from"),
        topics=source.topics,
        stage=source.stage,
        since_ms=since_ms,
        until_ms=until_ms,
        service=check_service(service) if service else "",
        of_module=source.of_module,
        status=status,
        module=module.spec.name if module is not None and _text(given, "module") else "",
        module_version=version,
        model=model,
        limit=_number(given, "limit", 0),
        rate=min(_number(given, "rate", DEFAULT_RATE), MOST_A_SECOND),
        dry_run=given.get("dry_run") is True,
    )


def _target(text: str, of_module: str, modules: Offered) -> tuple[Module | None, str]:
    if not text:
        return (modules.get(of_module) if of_module else None), ""
    match = _MODULE.fullmatch(text)
    name, version = (match[1], match[2] or "") if match else (text, "")
    module = modules.get(name)
    if module is None:
        raise InvalidInput(
            f"there is no module {name[:80]!r}",
            code="unknown_module",
            remedy=f"the modules are {', '.join(modules.names)}",
        )
    if version and version != module.spec.version:
        raise InvalidInput(
            f"{name}@{version[:80]} is not the version that runs here",
            code="unknown_version",
            remedy=f"what runs is {name}@{module.spec.version}",
        )
    return module, version


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str) or len(value) > 200:
        raise _invalid(f"{name} is no text of at most 200 characters", "correct it or leave it out")
    return value.strip()


def _number(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 2**31:
        raise _invalid(f"{name}: {str(value)[:80]} is no whole number above 0", "correct it or leave it out")
    return value


def _time(given: Mapping[str, Any], name: str, default: int) -> int:
    text = _text(given, name)
    if not text:
        return default
    try:
        at = datetime.fromisoformat(text)
    except ValueError as e:
        raise _invalid(f"{name}: {text[:80]!r} is no time", "write ISO 8601, such as 2026-11-01T09:00:00+09:00") from e
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _invalid(message: str, remedy: str) -> InvalidInput:
    return InvalidInput(message, code="invalid_replay", remedy=remedy)
