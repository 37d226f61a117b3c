"""An interactive call as a value, and its record on the log."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from ingress.auth import Caller
from processors.llm.protocols.values import Call
from schemas.errors import Outage
from schemas.events import ChatRequest
from schemas.ids import event_id, new_job_id
from schemas.payloads import Payload, json_payload
from schemas.topics import CHAT_REQUESTS
from streams.log.protocols import Headers, Publisher
from streams.quota.replicas import HEADER
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import RECORD_LIMIT, check_in

FULL = "full"
STORE_S = 5.0
"""How long a large prompt may take into the blob store; the log's own deadline is the publisher's."""


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
    """Writes calls to `chat.requests`, as served by `replica`.

    `keeps_content` tells by service whether with the prompt, or only its digest.
    """

    def __init__(
        self, publisher: Publisher, blobs: BlobStore, keeps_content: Callable[[str], bool], replica: str
    ) -> None:
        self._publisher = publisher
        self._replica = {HEADER: replica.encode()}
        self._blobs = blobs
        self._keeps_content = keeps_content

    @property
    def healthy(self) -> bool:
        """Whether the log takes records now."""
        return self._publisher.healthy

    async def record(self, asked: Asked) -> None:
        """Write the call; it is acknowledged when this returns. Raises Outage, by the publisher's deadline (5 s)."""
        record = await self._record_of(asked)
        # No deadline around it: it would break off the publication before the publisher has missed its own, by
        # which it knows that the log is down, and calls would go to upstreams for nothing.
        try:
            await self._publisher.publish(CHAT_REQUESTS, asked.request_id, record, {**asked.headers, **self._replica})
        except Outage as e:
            raise Outage("the log did not take the request", code="log_unavailable", remedy="ask again") from e

    async def _record_of(self, asked: Asked) -> ChatRequest:
        content = None
        if self._keeps_content(asked.caller.service):
            content = await self._stored(asked)
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

    async def _stored(self, asked: Asked) -> Payload:
        payload = json_payload(asked.raw)
        if payload.size <= RECORD_LIMIT:
            return payload
        try:
            async with asyncio.timeout(STORE_S):
                return await check_in(payload, self._blobs, asked.caller.service)
        except TimeoutError as e:
            raise Outage(f"the blob store did not take the prompt within {STORE_S:g} s", code="blob_store_down") from e
