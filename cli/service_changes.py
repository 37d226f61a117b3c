"""What `gateway services set` was asked to change, read from its options and applied to a record. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from schemas.errors import InvalidInput
from schemas.services import MICROS, Allowance, Quotas, ServiceSettings, check_settings

NONE = "none"
ALL = "all"
DEFAULT = "default"
MONEY = "money_per_month"

LIMITS: Mapping[str, str] = {
    "requests_per_minute": "requests_per_minute",
    "tokens_per_minute": "tokens_per_minute",
    "concurrent_jobs": "concurrent_jobs",
    "pages_per_month": "pages_per_month",
    "audio_seconds_per_month": "audio_seconds_per_month",
    "tokens_per_month": "tokens_per_month",
    MONEY: "money_micros_per_month",
}
"""What a limit is called on the command line, and in `Quotas`."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Options as they were given; None leaves as it is. With `key` the limits and names are those of that key."""

    key: str | None = None
    limits: Mapping[str, str] = field(default_factory=dict[str, str])
    modules: str | None = None
    models: str | None = None
    disabled: bool | None = None
    batch: bool | None = None
    chat_content: str | None = None
    retention_days: str | None = None


def changed(settings: ServiceSettings, changes: Changes, now_ms: int) -> ServiceSettings:
    """Return the settings with the changes.

    Raises InvalidInput naming the option whose value cannot be used.
    """
    if changes.key is None:
        settings = replace(settings, allowance=_allowance(settings.allowance, changes))
    else:
        own = _allowance(settings.keys.get(changes.key, Allowance()), changes)
        keys = {name: held for name, held in settings.keys.items() if name != changes.key}
        settings = replace(settings, keys=keys if own == Allowance() else {**keys, changes.key: own})
    if changes.disabled is not None:
        settings = replace(settings, disabled=changes.disabled)
    if changes.batch is not None:
        settings = replace(settings, batch=changes.batch)
    if changes.chat_content is not None:
        settings = replace(settings, chat_content="" if changes.chat_content == DEFAULT else changes.chat_content)
    if changes.retention_days is not None:
        text = changes.retention_days
        days = None if text == DEFAULT else _whole("retention", text.removesuffix("d"), f"such as 7d, or {DEFAULT}")
        settings = replace(settings, retention_days=days)
    return check_settings(
        replace(settings, created_at_ms=settings.created_at_ms or now_ms, updated_at_ms=max(now_ms, 1))
    )


def document(settings: ServiceSettings) -> dict[str, object]:
    """Return the settings for JSON: only what is set."""
    shown: dict[str, object] = {"service": settings.service, "disabled": settings.disabled, "batch": settings.batch}
    shown |= _shown(settings.allowance)
    shown["keys"] = {key: _shown(own) for key, own in sorted(settings.keys.items())}
    shown["chat_content"] = settings.chat_content or DEFAULT
    shown["retention_days"] = DEFAULT if settings.retention_days is None else settings.retention_days
    return shown


def limits_of(quotas: Quotas) -> dict[str, int | float]:
    """Return the limits that are set, under the names of the command line; money in whole units."""
    found: dict[str, int | float] = {}
    for option, name in LIMITS.items():
        value = getattr(quotas, name)
        if value is not None:
            found[option] = value / MICROS if option == MONEY else value
    return found


def _shown(allowance: Allowance) -> dict[str, object]:
    return {
        "modules": ALL if allowance.modules is None else list(allowance.modules),
        "models": ALL if allowance.models is None else list(allowance.models),
        "quotas": limits_of(allowance.quotas),
    }


def _allowance(held: Allowance, changes: Changes) -> Allowance:
    limits = {LIMITS[option]: _limit(option, text) for option, text in changes.limits.items()}
    held = replace(held, quotas=replace(held.quotas, **limits))
    if changes.modules is not None:
        held = replace(held, modules=_names(changes.modules))
    if changes.models is not None:
        held = replace(held, models=_names(changes.models))
    return held


def _limit(option: str, text: str) -> int | None:
    if text == NONE:
        return None
    if option != MONEY:
        return _whole(option, text, NONE)
    try:
        amount = Decimal(text)
        if amount.is_finite() and amount >= 0 and amount * MICROS == int(amount * MICROS):
            return int(amount * MICROS)
    except (InvalidOperation, OverflowError):
        pass
    raise _unusable(option, text, f"a number from 0 with up to six decimals, or {NONE}")


def _whole(option: str, text: str, otherwise: str) -> int:
    # isdecimal alone takes digits of every script, and int() would read numbers of any length.
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise _unusable(option, text, f"a whole number from 0, or {otherwise}")
    return int(text)


def _names(text: str) -> tuple[str, ...] | None:
    if text == ALL:
        return None
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _unusable(option: str, text: str, wanted: str) -> InvalidInput:
    name = option.replace("_", "-")
    return InvalidInput(f"--{name} is {text[:40]!r}", code="invalid_quota", remedy=f"give {wanted}")
