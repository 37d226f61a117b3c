"""Who is calling: API keys, held in memory, followed on the topic `api.keys`."""

import base64
import time
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from ingress.problems import Problem, unavailable
from schemas.events import ApiKey
from streams.api_keys import Scope, is_expired, is_revoked, matches, parse_key
from streams.log.compacted_view import CompactedView

_HOW = "send `Authorization: Bearer KEY` or `X-API-Key: KEY`; make one with ./gateway keys create"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, and with which key."""

    service: str
    key_id: str
    scopes: frozenset[str]


class KeyRing:
    """Every key there is, by its id. Enter it to follow the topic; `loaded` once the topic was read."""

    def __init__(self, view: CompactedView[ApiKey]) -> None:
        self._view = view

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._view.__aexit__(*args)

    @property
    def loaded(self) -> bool:
        """Whether every key was read."""
        return self._view.loaded

    @property
    def fresh(self) -> bool:
        """Whether revocations arrive now."""
        return self._view.healthy

    def get(self, key_id: str) -> ApiKey | None:
        """Return a key's record."""
        return self._view.find(key_id)


class Authenticator:
    """Tells who sent a request, and refuses who may not."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def viewer(self, request: Request, scope: Scope) -> Caller:
        """Return who is looking at a page with a browser: it may also send the key as a password (HTTP Basic).

        Only for reading: a browser repeats a password by itself, whoever made it send the request.
        Raises Problem as `caller` does; the 401 makes a browser ask.
        """
        try:
            return self._caller(_presented(request, basic=True), request, (scope,))
        except Problem as problem:
            if problem.status == 401:
                problem.headers["WWW-Authenticate"] = 'Basic realm="llm-gateway (the API key is the password)"'
            raise

    def caller(self, request: Request, scope: Scope, *or_one_of: Scope) -> Caller:
        """Return who is calling.

        Raises Problem: 401 without a key that opens anything, 403 without `scope` or one of the others,
        503 while the keys are being read.
        """
        return self._caller(_presented(request), request, (scope, *or_one_of))

    def _caller(self, key: str, request: Request, scopes: tuple[Scope, ...]) -> Caller:
        parts = parse_key(key)
        record = self._keys.get(parts.key_id) if parts else None
        if parts is None or record is None or not matches(parts, record):
            if parts is not None and not self._keys.loaded:
                raise unavailable("keys_loading", "the API keys are still being read from the log", retry_after_s=1)
            raise _unauthenticated("invalid_key", "this API key is not known", _HOW)
        caller = request.scope["caller"] = Caller(record.service, record.key_id, frozenset(record.scopes))
        if is_revoked(record):
            raise _unauthenticated("key_revoked", f"the API key {record.key_id} was revoked", "make another key")
        if is_expired(record, int(time.time() * 1000)):
            raise _unauthenticated("key_expired", f"the API key {record.key_id} has expired", "make another key")
        if caller.scopes.isdisjoint(scopes):
            raise Problem(
                403,
                "missing_scope",
                f"the API key {record.key_id} has not the scope {scopes[0]}",
                f"use a key made with --scopes {scopes[0]}",
            )
        return caller


def _presented(request: Request, *, basic: bool = False) -> str:
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, key = header.partition(" ")
        if basic and kind.lower() == "basic":
            return _password(key.strip())
        if kind.lower() != "bearer":
            raise _unauthenticated("invalid_key", "the Authorization header is not of the kind Bearer", _HOW)
        return key.strip()
    key = request.headers.get("x-api-key")
    if not key:
        raise _unauthenticated("missing_key", "there is no API key in the request", _HOW)
    return key.strip()


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2].strip()
    except ValueError as e:
        raise _unauthenticated("invalid_key", "the Authorization header is no user and password", _HOW) from e


def _unauthenticated(code: str, detail: str, remedy: str) -> Problem:
    return Problem(401, code, detail, remedy, headers={"WWW-Authenticate": 'Bearer realm="llm-gateway"'})
