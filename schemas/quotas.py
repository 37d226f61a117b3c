"""Quotas as decisions: what is asked for, which limits hold for it, and what a replica may grant on its own. Pure.

QuotaExceeded             a limit is reached: 429 for callers, a wait for the batch door
NotAllowed                this service or key may not use that at all: 403
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from schemas.errors import Permanent, Transient
from schemas.services import MICROS, Quotas, ServiceSettings
from schemas.usage_rows import LEDGER_OFFSET_MS

MINUTE, NOW, MONTH = "minute", "now", "month"
WARN_AT = 0.8
"""The used part of a limit from which on callers are warned."""

MOST_BLIND_REPLICAS = 4
"""How many replicas are assumed by one that never heard of any other: it keeps to that share."""

BLIND_PART = 0.01
"""The part of a month's budget that may be used while nobody can tell how much of it is left."""

WINDOW_S = 60

_LEAST_UNSET, _MOST_UNSET = 256, 4_096

LARGEST_AMOUNT = 2**53
"""No limit is higher, so more is reserved as this: Redis fails past 2^63, and its scripts are exact up to here."""


class Estimate(NamedTuple):
    """What a request will probably use; seconds of audio and millionths of money are whole numbers."""

    tokens: int = 0
    pages: int = 0
    audio_seconds: int = 0
    money_micros: int = 0

    def bounded(self) -> "Estimate":
        """Return it with no amount above `LARGEST_AMOUNT`."""
        return Estimate(*(min(amount, LARGEST_AMOUNT) for amount in self))


@dataclass(frozen=True, slots=True)
class Ask:
    """A request before its work: whose it is and what it will probably use. `module` is `chat` for calls."""

    request_id: str
    service: str
    key_id: str
    module: str
    estimate: Estimate
    model: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that holds for a request. `key_id` is empty where it is the whole service's."""

    key_id: str
    name: str
    window: str
    measure: str
    most: int

    def asked(self, ask: Ask) -> int:
        """Return how much of it a request takes."""
        return 1 if self.measure in ("requests", "jobs") else getattr(ask.estimate, self.measure)

    def shown(self, amount: int) -> str:
        """Return an amount for people."""
        if self.measure == "money_micros":
            return f"{amount / MICROS:g}"
        return f"{amount:,}"


_KINDS: Mapping[str, tuple[str, str, str]] = {
    "requests_per_minute": (MINUTE, "requests", "requests a minute"),
    "tokens_per_minute": (MINUTE, "tokens", "tokens a minute"),
    "concurrent_jobs": (NOW, "jobs", "jobs and calls at one time"),
    "pages_per_month": (MONTH, "pages", "pages a month"),
    "audio_seconds_per_month": (MONTH, "audio_seconds", "seconds of audio a month"),
    "tokens_per_month": (MONTH, "tokens", "tokens a month"),
    "money_micros_per_month": (MONTH, "money_micros", "money a month"),
}


class QuotaExceeded(Transient):
    """A limit is reached. `limit` names it; `retry_after_s` is when to ask again, in whole seconds.

    `never`: the request alone takes more than the whole limit, so that waiting is of no use.
    """

    default_code = "quota_exceeded"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        remedy: str = "",
        limit: str = "",
        retry_after_s: int = 1,
        never: bool = False,
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.never = never


class NotAllowed(Permanent):
    """The service, or its key, may not do this: `service_disabled`, `module_not_allowed`, `model_not_allowed`."""

    default_code = "not_allowed"


@dataclass(frozen=True, slots=True)
class SoftWarning:
    """A limit of which most is used."""

    limit: str
    used: float

    @property
    def text(self) -> str:
        """The warning as it stands in the header."""
        return f"{self.limit} {math.floor(self.used * 100)}%"


def check_allowed(settings: ServiceSettings, key_id: str, module: str, model: str = "") -> None:
    """See that a service may use a module and a model with a key.

    Raises NotAllowed.
    """
    if settings.disabled:
        raise NotAllowed(
            f"the service {settings.service} is disabled",
            code="service_disabled",
            remedy="ask an administrator (./gateway services set SERVICE --enable)",
        )
    for allowance in settings.allowances(key_id):
        for kind, name, names in (("module", module, allowance.modules), ("model", model, allowance.models)):
            if name and names is not None and name not in names:
                raise NotAllowed(
                    f"{kind} {name[:80]!r} is not open to {settings.service}",
                    code=f"{kind}_not_allowed",
                    remedy=f"use one of {', '.join(names) or 'none'}, or ask an administrator",
                )


def limits_for(settings: ServiceSettings, key_id: str) -> tuple[Limit, ...]:
    """Return every limit that holds for a request with this key, those of the service first."""
    found = list(_limits("", settings.allowance.quotas))
    own = settings.keys.get(key_id)
    if own is not None:
        found += _limits(key_id, own.quotas)
    return tuple(found)


def _limits(key_id: str, quotas: Quotas) -> Iterable[Limit]:
    for name, (window, measure, _) in _KINDS.items():
        most = getattr(quotas, name)
        if most is not None:
            yield Limit(key_id, name, window, measure, most)


def unset_answer(limits: Iterable[Limit]) -> int | None:
    """Return how many tokens an answer may have whose caller sets no limit; None where it may have any number.

    A quarter of the smallest limit of tokens, 256 at least and 4,096 at most: enough for most answers, and four calls
    at a time are possible.
    """
    budgets = [limit for limit in limits if limit.measure in ("tokens", "money_micros")]
    if not budgets:
        return None
    least = min((limit.most for limit in budgets if limit.measure == "tokens"), default=_MOST_UNSET * 4)
    return max(_LEAST_UNSET, min(_MOST_UNSET, least // 4))


def exceeded(limit: Limit, ask: Ask, used: int, retry_after_s: int) -> QuotaExceeded:
    """Return the refusal: what ran out, how much of it there is, and when to ask again."""
    about = _KINDS[limit.name][2]
    whose = f"the key {limit.key_id}" if limit.key_id else f"the service {ask.service}"
    asked = limit.asked(ask)
    message = f"{whose} may use {limit.shown(limit.most)} {about}; {limit.shown(used)} are used or reserved"
    remedy = f"ask again in {retry_after_s} seconds, or have the limit raised"
    if asked > limit.most:
        message += f", and this request may need {limit.shown(asked)}"
        remedy = "ask for less (a smaller max_tokens, a smaller file), or have the limit raised"
    # A limit of 0 is a door that was shut for a while, not one that is too narrow.
    never = asked > limit.most > 0
    return QuotaExceeded(message, remedy=remedy, limit=limit.name, retry_after_s=retry_after_s, never=never)


def warnings_of(limits: Iterable[Limit], used: Iterable[int]) -> tuple[SoftWarning, ...]:
    """Return those limits of which 80 % or more are used; a limit of 0 is never warned about."""
    return tuple(
        SoftWarning(limit.name, amount / limit.most)
        for limit, amount in zip(limits, used, strict=True)
        if limit.most and amount >= limit.most * WARN_AT
    )


def share(limit: Limit, replicas: int | None, base: int | None) -> int:
    """Return how much of a limit one replica may grant while the counters are unknown.

    `replicas` is how many there were when last heard of, None if never; `base` is what was used when last
    known, None if never. Never everything, unless it is alone, and never nothing of what is left.
    """
    count = max(1, replicas or MOST_BLIND_REPLICAS)
    if limit.window == MONTH:
        left = limit.most * BLIND_PART if base is None else max(0, limit.most - base)
        return math.floor(left / count)
    return max(min(1, limit.most), limit.most // count)


def month_of(at_ms: int) -> str:
    """Return the month of the ledger's zone in which a time lies, such as `2026-11`."""
    return f"{_ledger_time(at_ms):%Y-%m}"


def month_left_s(at_ms: int) -> int:
    """Return the seconds until the next month begins, at least 1."""
    at = _ledger_time(at_ms)
    following = (at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    return max(1, math.ceil((following - at).total_seconds()))


def _ledger_time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(milliseconds=LEDGER_OFFSET_MS)
