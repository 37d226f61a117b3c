"""What an upstream's refusal, or a failure of the connection to it, means for a call. Pure, but for the clock."""

from email.utils import parsedate_to_datetime
from time import time
from typing import Any, cast

import aiohttp
import orjson

from processors.llm.errors import CallRefused, UpstreamBusy, UpstreamFailed
from processors.llm.pool.models import Upstream
from processors.llm.protocols.values import Json
from schemas.errors import GatewayError

_TOLD_CHARACTERS = 1000
_LONGEST_RETRY_S = 600.0
_DISCONNECTED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)


def refusal(upstream: str, status: int, told: str, retry_after_s: float = 0.0) -> GatewayError:
    """Return what an HTTP status other than 200 means for a call. Pure."""
    if status in (429, 503):
        return UpstreamBusy(f"{upstream} is busy (status {status})", retry_after_s=retry_after_s)
    if status in (401, 403):
        return UpstreamFailed(
            f"{upstream} refuses us (status {status})",
            code="upstream_auth",
            status=status,
            remedy="check its key; an Ollama on loopback also refuses a Host header that is a name",
        )
    if status in (404, 405):
        return UpstreamFailed(
            f"{upstream} has no such model or path (status {status})", code="upstream_lacks_model", status=status
        )
    if (400 <= status < 500 and status != 408) or status == 501:
        return CallRefused(f"{upstream} refuses the call (status {status})", status=status, told=told)
    return UpstreamFailed(f"{upstream} failed (status {status})", status=status)


def own_words(body: bytes) -> str:
    """Return an upstream's own words about an error, in either protocol's shape."""
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error: Any = cast(Json, parsed).get("error") if isinstance(parsed, dict) else None
    if isinstance(error, dict):
        error = cast(Json, error).get("message")
    return error[:_TOLD_CHARACTERS] if isinstance(error, str) else ""


def seconds_to_wait(header: str | None) -> float:
    """Return what `Retry-After` says, as seconds or as a date; 0 for none and for what cannot be read."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time()
        except (ValueError, OverflowError):  # OverflowError: an offset from UTC of many digits
            return 0.0
    return min(seconds, _LONGEST_RETRY_S) if seconds > 0 else 0.0  # "nan" is a float, and not above 0


def translate(upstream: Upstream, error: BaseException) -> GatewayError | None:
    """Return the gateway's error for one of aiohttp's; None for what is none of aiohttp's."""
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return UpstreamFailed(f"{upstream.name} cannot be reached", code="upstream_unreachable")
        case e if isinstance(e, _DISCONNECTED):
            return UpstreamFailed(f"{upstream.name} closed the connection", lost_connection=True)
        case aiohttp.ClientError() | OSError():
            return UpstreamFailed(f"{upstream.name} failed: {type(error).__name__}")
        case _:
            return None
