"""Checks a batch request exactly as REST checks a submission, and makes a submission of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import orjson

from schemas.batch import (
    MOST_BLOBS,
    MOST_ID_CHARACTERS,
    MOST_INLINE_BYTES,
    MOST_OPTIONS_BYTES,
    MOST_REPLY_HEADER_BYTES,
    MOST_REPLY_HEADERS,
    BatchRequest,
)
from schemas.errors import InvalidInput, Permanent
from schemas.events import Lane
from schemas.media import SNIFF_BYTES, input_kind, media_type_of, sniff
from schemas.modules import ModuleSpec
from schemas.payloads import Payload, base_name, text_payload
from schemas.submissions import BATCH, Submission
from streams.modules import Module, Offered, canonical_options
from streams.serving import unknown_lack
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import RESULT_LIMIT, check_in
from streams.tasks import gathered

KEY_ID = "batch"
"""What stands for the API key in a batch job's records: its door is its credential."""

_CACHED_OPTIONS = 1_000
_CACHED_CHARACTERS = 4 * 1024
_STORE_CALLS = 32


class Checker:
    """Turns requests into submissions; content goes to the blob store on the way."""

    def __init__(self, modules: Offered, blobs: BlobStore, limit_bytes: int) -> None:
        self._modules = modules
        self._blobs = blobs
        self._limit = limit_bytes
        self._options: dict[tuple[str, str, str], tuple[Module, str, str]] = {}
        self._store_calls = asyncio.Semaphore(_STORE_CALLS)

    async def check(self, service: str, request: BatchRequest) -> Submission:
        """Return the submission.

        Raises InvalidInput with REST's codes for what is wrong with the request, Permanent (`module_unavailable`) for a
        stage that there is none of here, Outage when the store is down.
        """
        check_identity(request)
        module = self._modules.get(request.module)
        if module is None:
            raise InvalidInput(
                f"there is no module {request.module[:80]!r}",
                code="unknown_module",
                remedy=f"the modules are {', '.join(self._modules.names)}",
            )
        lack = unknown_lack(step.kind for step in module.spec.steps)
        if lack is not None:
            what = f"the module {module.spec.name} is unavailable: {lack.reason}"
            raise Permanent(what, code="module_unavailable", remedy=lack.remedy)
        # Before anything is stored: what is refused leaves nothing behind.
        options, given = self._checked_options(module, request.options)
        inputs = await self._inputs(module.spec, service, request)
        return Submission(
            module=module.spec,
            service=service,
            key_id=KEY_ID,
            inputs=inputs,
            options=options,
            given=given,
            idempotency_key=request.request_id,
            door=BATCH,
            lane=Lane.BULK,
        )

    def _checked_options(self, module: Module, text: str) -> tuple[str, str]:
        """Return a job's options, and what of them was given."""
        # A batch repeats one set of options a hundred thousand times.
        key = (module.spec.name, module.spec.version, text)
        known = self._options.get(key)
        if known is not None and known[0] is module:  # a version may be given another definition
            return known[1:]
        try:
            given = orjson.loads(text or "{}")
        except orjson.JSONDecodeError as e:
            raise InvalidInput("`options` is no JSON", code="malformed_json", remedy="send a JSON object") from e
        if not isinstance(given, dict):
            raise InvalidInput("`options` is no JSON object", code="invalid_body", remedy="send a JSON object")
        options = cast(dict[str, Any], given)
        checked = canonical_options(module.options(options)), canonical_options(options)
        if max(len(each.encode()) for each in checked) > MOST_OPTIONS_BYTES:
            raise InvalidInput(
                f"`options` are larger than {MOST_OPTIONS_BYTES} bytes",
                code="record_too_large",
                remedy="send long texts as `text` or as a file",
            )
        if len(text) > _CACHED_CHARACTERS:
            return checked
        if len(self._options) >= _CACHED_OPTIONS:
            self._options.clear()
        self._options[key] = (module, *checked)
        return checked

    async def _inputs(self, spec: ModuleSpec, service: str, request: BatchRequest) -> tuple[Payload, ...]:
        given = [request.text is not None, request.content is not None, bool(request.blobs)]
        if sum(given) != 1:
            raise InvalidInput(
                "exactly one of `text`, `content` and `blobs` is needed",
                code="invalid_body",
                remedy="set one and leave the others null or empty",
            )
        limit = min(self._limit, spec.max_input_bytes or self._limit)
        if request.text is not None:
            raw = _within(request.text.encode(), limit)
            if not raw:
                raise InvalidInput("`text` is empty", code="empty_text", remedy="send a text that has characters")
            if "text" not in spec.inputs:
                raise InvalidInput(
                    f"the module {spec.name} takes no text", code="input_not_accepted", remedy="send a file"
                )
            payload = text_payload(request.text)
            if payload.size <= RESULT_LIMIT:
                return (payload,)
            async with self._store_calls:
                return (await check_in(payload, self._blobs, service, RESULT_LIMIT),)
        if request.content is not None:
            content, name = _within(request.content, limit), base_name(request.name)
            async with self._store_calls:
                return (await self._file(spec, service, name, content),)
        if len(request.blobs) > MOST_BLOBS:
            raise InvalidInput(f"there are more than {MOST_BLOBS} blobs", code="too_many_files", remedy="split it")
        found = await gathered([self._blob(spec, service, blob) for blob in request.blobs])
        _check_size(sum(payload.size for payload in found), limit)
        return tuple(found)

    async def _file(self, spec: ModuleSpec, service: str, name: str, content: bytes) -> Payload:
        media_type = media_type_of(content[:SNIFF_BYTES], name, "")
        _check_kind(spec, media_type, name)
        ref = await self._blobs.put_bytes(service, media_type, content)
        return Payload(media_type=media_type, name=name, blob=ref)

    async def _blob(self, spec: ModuleSpec, service: str, blob_id: str) -> Payload:
        async with self._store_calls:
            found = await self._blobs.find(service, blob_id)
            if found is None:
                # Another service's blob is none, as for REST.
                raise InvalidInput(
                    "there is no such blob", code="blob_not_found", remedy="upload it with POST /v1/blobs"
                )
            async with aclosing(cast(AsyncGenerator[bytes], self._blobs.stream(found))) as chunks:
                media_type = sniff((await anext(chunks, b""))[:SNIFF_BYTES])
        _check_kind(spec, media_type, "")
        return Payload(media_type=media_type, blob=replace(found, media_type=media_type))


def check_identity(request: BatchRequest) -> None:
    """Check what identifies the request and comes back with its answer.

    Raises InvalidInput (`invalid_request_id`, `invalid_reply_headers`).
    """
    if not (0 < len(request.request_id) <= MOST_ID_CHARACTERS and request.request_id.isprintable()):
        raise InvalidInput(
            f"the request id has {len(request.request_id)} characters, or some that cannot be printed",
            code="invalid_request_id",
            remedy=f"use 1 to {MOST_ID_CHARACTERS} printable characters, such as a UUID",
        )
    size = sum(len(name.encode()) + len(value.encode()) for name, value in request.reply_headers.items())
    if len(request.reply_headers) > MOST_REPLY_HEADERS or size > MOST_REPLY_HEADER_BYTES:
        raise InvalidInput(
            f"{len(request.reply_headers)} reply headers of {size} bytes are too many",
            code="invalid_reply_headers",
            remedy=f"send at most {MOST_REPLY_HEADERS}, of {MOST_REPLY_HEADER_BYTES} bytes together",
        )


def _within(content: bytes, limit: int) -> bytes:
    _check_size(len(content), min(limit, MOST_INLINE_BYTES))
    return content


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise InvalidInput(
            f"the input has {size} bytes, more than {limit}",
            code="upload_too_large",
            remedy=f"send up to {MOST_INLINE_BYTES} bytes in the record; upload more with POST /v1/blobs",
        )


def _check_kind(spec: ModuleSpec, media_type: str, name: str) -> None:
    if input_kind(media_type, name) not in spec.inputs:
        raise InvalidInput(
            f"the module {spec.name} does not take {media_type}",
            code="unsupported_media_type",
            remedy=f"it takes {', '.join(sorted(spec.inputs))}",
        )
