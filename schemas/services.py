"""What is set for a service: quotas, what it may use, and how it is treated. A record a service on `services`.

A service without a record has no limits and every default: a key is all that it needs. Limits that are
None are not set. Money is kept in millionths of the currency that the prices are in.
"""

from dataclasses import dataclass, field, fields

from schemas.errors import InvalidInput

MICROS = 1_000_000
"""Millionths of a unit of money; also of an amount of it in `Quotas`."""

MOST = 2**53 // MICROS
"""The largest limit: in millionths it is still exact where numbers are doubles (Lua, JSON)."""

LEAST_RETENTION_DAYS, MOST_RETENTION_DAYS = 1, 3650
"""For a day at least, so that a caller who waits over night finds the result; ten years at most, for every job that
is kept is held in the memory of job-state."""

CONTENTS = ("", "full", "digest")


@dataclass(frozen=True, slots=True)
class Quotas:
    """The most that may be used: a minute, at one time, and a calendar month of Asia/Seoul.

    Tokens are those of prompt and completion together. `audio_seconds_per_month` is speech that was
    transcribed, `money_micros_per_month` what everything costs by the prices in `models.yml`.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_jobs: int | None = None
    pages_per_month: int | None = None
    audio_seconds_per_month: int | None = None
    tokens_per_month: int | None = None
    money_micros_per_month: int | None = None

    @property
    def limited(self) -> bool:
        """Whether any limit is set."""
        return self != _NO_LIMITS


_NO_LIMITS = Quotas()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be used and how much of it, of a service or of one of its keys; None allows every name."""

    modules: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    quotas: Quotas = field(default_factory=Quotas)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """A service's settings; `keys` narrows what single keys (by their id) may do, never widens it.

    `batch` opens the service's Kafka door. `chat_content` is what is kept of interactive calls, `full`
    or `digest`, and empty for the deployment's own setting. `retention_days` is how long jobs, results
    and files are kept, None for the deployment's own.
    """

    service: str
    disabled: bool = False
    batch: bool = False
    allowance: Allowance = field(default_factory=Allowance)
    keys: dict[str, Allowance] = field(default_factory=dict[str, Allowance])
    chat_content: str = ""
    retention_days: int | None = None
    created_at_ms: int = 0
    updated_at_ms: int = 0

    @property
    def quotas(self) -> Quotas:
        """The quotas of the whole service."""
        return self.allowance.quotas

    def allowances(self, key_id: str) -> tuple[Allowance, ...]:
        """Return what holds for a call with this key: the service's allowance and, if there is one, the key's."""
        own = self.keys.get(key_id)
        return (self.allowance,) if own is None else (self.allowance, own)


def check_settings(settings: ServiceSettings) -> ServiceSettings:
    """Return the settings if they can be used.

    Raises InvalidInput (`invalid_quota`, `invalid_setting`) naming the value that cannot.
    """
    for allowance in (settings.allowance, *settings.keys.values()):
        for limit in fields(Quotas):
            value = getattr(allowance.quotas, limit.name)
            most = MOST * MICROS if limit.name.startswith("money") else MOST
            if value is not None and not 0 <= value <= most:
                raise InvalidInput(
                    f"{limit.name} is {value}",
                    code="invalid_quota",
                    remedy=f"set a number from 0 to {most}, or none for no limit",
                )
    if settings.chat_content not in CONTENTS:
        raise InvalidInput(
            f"chat_content is {settings.chat_content[:40]!r}",
            code="invalid_setting",
            remedy="set full, digest, or default",
        )
    if settings.retention_days is not None and not (
        LEAST_RETENTION_DAYS <= settings.retention_days <= MOST_RETENTION_DAYS
    ):
        raise InvalidInput(
            f"retention_days is {settings.retention_days}",
            code="invalid_setting",
            remedy=f"set {LEAST_RETENTION_DAYS} to {MOST_RETENTION_DAYS} days, or default: a result must be there "
            "for a day to be fetched, and every job that is kept is held in memory",
        )
    return settings
