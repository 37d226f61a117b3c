"""An interactive call as a value, and its record on the log."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ingress.auth import Caller
from processors.llm.protocols.values import Call, Task
from schemas.errors import Outage
from schemas.events import ChatRequest
from schemas.ids import event_id, new_job_id
from schemas.payloads import json_payload
from schemas.topics import CHAT_REQUESTS
from streams.log.protocols import Headers, Publisher
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import check_in

FULL = "full"
ACK_S = 5.0
"""A call whose request is not on the log by then is given up."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that was taken: who asks what. `model` is the public name, `raw` the body as it came."""

    request_id: str
    caller: Caller
    call: Call
    model: str
    raw: bytes
    headers: Headers
    at_ms: int


def asked_now(caller: Caller, call: Call, model: str, raw: bytes, headers: Headers) -> Asked:
    """Return a call with a fresh id."""
    now_ms = time.time_ns() // 1_000_000
    return Asked(new_job_id(now_ms), caller, call, model, raw, headers, now_ms)


class Recorder:
    """Writes calls to `chat.requests`; `keeps_content` tells by service whether with the prompt, or only its digest."""

    def __init__(self, publisher: Publisher, blobs: BlobStore, keeps_content: Callable[[str], bool]) -> None:
        self._publisher = publisher
        self._blobs = blobs
        self._keeps_content = keeps_content

    @property
    def healthy(self) -> bool:
        """Whether the log takes records now."""
        return self._publisher.healthy

    async def record(self, asked: Asked) -> None:
        """Write the call; it is acknowledged when this returns. Raises Outage, within `ACK_S`."""
        try:
            async with asyncio.timeout(ACK_S):
                record = await self._record_of(asked)
                await self._publisher.publish(CHAT_REQUESTS, asked.request_id, record, asked.headers)
        except TimeoutError as e:
            raise Outage(f"the log did not take the request within {ACK_S:g} s", code="log_unavailable") from e

    async def _record_of(self, asked: Asked) -> ChatRequest:
        content = None
        if self._keeps_content(asked.caller.service):
            content = await check_in(json_payload(asked.raw), self._blobs, asked.caller.service)
        return ChatRequest(
            event_id=event_id(asked.request_id, "chat"),
            request_id=asked.request_id,
            service=asked.caller.service,
            key_id=asked.caller.key_id,
            dialect=asked.call.dialect,
            task=asked.call.task,
            model=asked.model,
            stream=asked.call.stream,
            content_sha256=hashlib.sha256(asked.raw).hexdigest(),
            content_bytes=len(asked.raw),
            messages=len(asked.call.body.get("messages") or ()),
            requested_at_ms=asked.at_ms,
            content=content,
        )


def characters(call: Call) -> int:
    """Return how many characters of text a call gives the model to read; images do not count."""
    body = call.body
    match call.task:
        case Task.CHAT:
            messages = cast(list[Mapping[str, Any]], body.get("messages") or [])
            return sum(_of(message.get("content")) for message in messages)
        case Task.COMPLETION:
            return _of(body.get("prompt")) + _of(body.get("system"))
        case Task.EMBED:
            return _of(body.get("input"))


def _of(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    if isinstance(content, list):
        parts: Iterable[Any] = cast(list[Any], content)
        return sum(_of(cast(Mapping[str, Any], p).get("text") if isinstance(p, dict) else p) for p in parts)
    return 0
