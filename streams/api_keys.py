"""API keys: `gw_<id>_<secret>`. Only the SHA-256 of the secret is ever kept. Pure but for the chance in a new key.

A key's record is published on `api.keys` under its id; a revocation is the same record with
`revoked_at_ms` set.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.errors import InvalidInput
from schemas.events import ApiKey

_KEY = re.compile(r"gw_([0-9a-z]{12})_([0-9A-Za-z]{40})")
_SERVICE = re.compile(r"[a-z0-9-]{1,40}")
_DURATION = re.compile(r"(\d{1,9})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_SECRET_ALPHABET = _ID_ALPHABET + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_CHARACTERS = 12
_SECRET_CHARACTERS = 40  # 238 bits: a plain SHA-256 needs no salt or stretching


class Scope(StrEnum):
    """What a key may do."""

    JOBS = "jobs"
    CHAT = "chat"
    USAGE = "usage"
    ADMIN = "admin"


DEFAULT_SCOPES: tuple[str, ...] = (Scope.JOBS, Scope.CHAT, Scope.USAGE)


@dataclass(frozen=True, slots=True)
class KeyParts:
    """A key as a caller sends it, taken apart; the secret stays out of every representation."""

    key_id: str
    secret_sha256: str


def make_key(service: str, scopes: Iterable[str], expires_at_ms: int | None, now_ms: int) -> tuple[ApiKey, str]:
    """Make a key and return its record and the key itself, which cannot be had again.

    Raises InvalidInput when the service's name or a scope is none.
    """
    check_service(service)
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_CHARACTERS))
    secret = "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(_SECRET_CHARACTERS))
    record = ApiKey(
        key_id=key_id,
        service=service,
        secret_sha256=_digest(secret),
        scopes=check_scopes(scopes),
        created_at_ms=now_ms,
        expires_at_ms=expires_at_ms,
    )
    return record, f"gw_{key_id}_{secret}"


def revoked(record: ApiKey, now_ms: int) -> ApiKey:
    """Return the record of a key that no longer opens anything; the first revocation's time stays."""
    return record if record.revoked_at_ms is not None else replace(record, revoked_at_ms=now_ms)


def parse_key(key: str) -> KeyParts | None:
    """Take a key apart, or return None when it has not the form of one."""
    match = _KEY.fullmatch(key)
    return None if match is None else KeyParts(match[1], _digest(match[2]))


def matches(parts: KeyParts, record: ApiKey) -> bool:
    """Tell, in constant time, whether the key is the one of the record."""
    return parts.key_id == record.key_id and hmac.compare_digest(parts.secret_sha256, record.secret_sha256)


def verify(key: str, record: ApiKey, now_ms: int) -> bool:
    """Tell whether a key as sent opens what the record allows: it matches, is not revoked and not expired."""
    parts = parse_key(key)
    return parts is not None and matches(parts, record) and not is_revoked(record) and not is_expired(record, now_ms)


def is_revoked(record: ApiKey) -> bool:
    """Tell whether the key was revoked."""
    return record.revoked_at_ms is not None


def is_expired(record: ApiKey, now_ms: int) -> bool:
    """Tell whether the key's time is over."""
    return record.expires_at_ms is not None and now_ms >= record.expires_at_ms


def check_service(service: str) -> str:
    """Return the name of a service.

    Raises InvalidInput when it is none.
    """
    if _SERVICE.fullmatch(service) is None:
        raise InvalidInput(
            f"{service[:80]!r} is no service name",
            code="invalid_service",
            remedy="use 1 to 40 lower-case letters, digits and hyphens, such as mail-room",
        )
    return service


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes without repeats, in their usual order.

    Raises InvalidInput when there is none, or one that does not exist.
    """
    wanted = set(scopes)
    known = [str(scope) for scope in Scope]
    unknown = sorted(wanted.difference(known))
    if unknown or not wanted:
        what = f"{unknown[0][:80]!r} is no scope" if unknown else "a key needs at least one scope"
        raise InvalidInput(what, code="invalid_scope", remedy=f"choose from {', '.join(known)}")
    return tuple(scope for scope in known if scope in wanted)


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds of `30s`, `5m`, `2h` or `90d`.

    Raises InvalidInput when the text is none of these, or zero.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise InvalidInput(
            f"{text[:80]!r} is no duration",
            code="invalid_duration",
            remedy="write a whole number above 0 and a unit, such as 30s, 5m, 2h or 90d",
        )
    return int(match[1]) * _UNIT_MS[match[2]]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
