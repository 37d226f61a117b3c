"""Reads what a caller submits: a form with files, or JSON with text or a reference to a blob."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson
from fastapi import Request

from ingress.media import SNIFF_BYTES, TEXT, input_kind, sniff
from ingress.model_body import as_text_and_options, fields_of
from ingress.multipart import MultipartReader
from ingress.problems import Problem
from ingress.uploads import Uploads
from schemas.modules import ModuleSpec
from schemas.payloads import Payload, text_payload
from streams.modules import Module
from streams.storage.blobs import BlobStore
from streams.storage.claim_check import check_in

INLINE_TEXT_BYTES = 8 * 1024
"""Text up to this size travels in the records and stands in the view; longer text becomes a blob."""

_JSON_LIMIT_BYTES = 16 * 1024 * 1024
_FIELD_LIMIT_BYTES = 64 * 1024
_MAX_FILES = 1_000
_JSON_FIELDS = frozenset({"text", "input", "options"})
_FIELDS_TOLD = "use `text` or `input`, and `options`"


@dataclass(frozen=True, slots=True)
class SubmitBody:
    """The inputs and options of one submission; `given` is what of the options the caller set."""

    inputs: tuple[Payload, ...]
    options: Mapping[str, Any]
    given: Mapping[str, Any]


async def read_submit_body(
    request: Request, module: Module, blobs: BlobStore, service: str, limit_bytes: int
) -> SubmitBody:
    """Read the body; files are in the blob store when this returns.

    Raises Problem and InvalidInput for whatever is wrong with it, Outage when the store is down.
    """
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    limit = min(limit_bytes, module.spec.max_input_bytes or limit_bytes)
    if kind == "multipart/form-data":
        return await _read_form(request, module, Uploads(blobs, service, limit), content_type)
    if kind == "application/json" or (not kind and request.headers.get("content-length", "0") != "0"):
        return await _read_json(request, module, blobs, service, limit)
    raise Problem(
        415,
        "unsupported_body",
        f"a body of type {kind[:80]!r} is not understood" if kind else "the request has no body",
        'send files as multipart/form-data (curl -F file=@letter.pdf), or JSON such as {"text": "…"}',
    )


async def _read_form(request: Request, module: Module, uploads: Uploads, content_type: str) -> SubmitBody:
    uploads.check_length(request.headers.get("content-length"))
    reader = MultipartReader(content_type.encode("latin-1"), uploads.bounded(request.stream()))
    inputs: list[Payload] = []
    fields: dict[str, str] = {}
    async for part in reader.parts():
        if part.name == "file":
            if len(inputs) == _MAX_FILES:
                raise Problem(413, "too_many_files", f"there are more than {_MAX_FILES} files", "split the document")
            payload = await uploads.store(part.filename or "", part.content_type, reader.content())
            _check_kind(module.spec, payload)
            inputs.append(payload)
        elif part.filename is not None:
            raise Problem(422, "unknown_field", f"there is a file in the field {part.name[:80]!r}", "send it as `file`")
        else:
            if part.name in fields:
                raise Problem(422, "invalid_option", f"option {part.name[:80]}: it is there twice", "send it once")
            fields[part.name] = await reader.text(_FIELD_LIMIT_BYTES)
            module.form_options({part.name: fields[part.name]})  # refused before the files behind it are read
    if not inputs:
        raise Problem(422, "missing_file", "the form has no `file`", "send one, as curl -F file=@letter.pdf does")
    return SubmitBody(tuple(inputs), module.form_options(fields), module.typed(fields))


async def _read_json(request: Request, module: Module, blobs: BlobStore, service: str, limit_bytes: int) -> SubmitBody:
    body = as_text_and_options(_parsed(await read_bounded(request, _JSON_LIMIT_BYTES)), module.spec)
    unknown = next((name for name in body if name not in _JSON_FIELDS), None)
    if unknown is not None:
        raise _invalid("unknown_field", f"there is no field {unknown[:80]!r}", _fields_told(module.spec))
    if ("text" in body) == ("input" in body):
        raise _invalid("invalid_body", "exactly one of `text` and `input` is needed", 'such as {"text": "…"}')
    options = body.get("options", {})
    if not isinstance(options, dict):
        raise _invalid("invalid_body", "`options` is no object", 'such as {"options": {}}')
    given = cast(dict[str, Any], options)
    checked = module.options(given)
    if "text" in body:
        inputs = (await _text_input(module.spec, body["text"], blobs, service, limit_bytes),)
    else:
        inputs = await _blob_inputs(module.spec, body["input"], blobs, service, limit_bytes)
    return SubmitBody(inputs, checked, given)


def _fields_told(spec: ModuleSpec) -> str:
    more = fields_of(spec)
    return f"use one of `text`, `input`, {', '.join(f'`{n}`' for n in more)}" if more else _FIELDS_TOLD


async def read_bounded(request: Request, limit_bytes: int) -> bytes:
    """Return a small body; raise Problem 413 as soon as it is larger than `limit_bytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise Problem(
                413,
                "body_too_large",
                f"the JSON body is larger than {limit_bytes} bytes",
                'upload the content with POST /v1/blobs and send {"input": {"blob": …}}',
            )
    return bytes(body)


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as e:
        # The parser's message names the place and never quotes the content.
        raise _invalid("malformed_json", f"the body is no JSON: line {e.lineno}, column {e.colno}", "correct it") from e
    if not isinstance(body, dict):
        raise _invalid("invalid_body", "the JSON is no object", 'send one, such as {"text": "…"}')
    return cast(dict[str, Any], body)


async def _text_input(spec: ModuleSpec, text: object, blobs: BlobStore, service: str, limit_bytes: int) -> Payload:
    if not isinstance(text, str) or not text:
        raise _invalid("empty_text", "`text` is no text, or empty", "send a string that has characters")
    if "text" not in spec.inputs:
        raise _invalid("input_not_accepted", f"the module {spec.name} takes no text", "send a file")
    payload = text_payload(text)
    _check_size(spec, payload.size, limit_bytes)
    return await check_in(payload, blobs, service, INLINE_TEXT_BYTES)


async def _blob_inputs(
    spec: ModuleSpec, given: object, blobs: BlobStore, service: str, limit_bytes: int
) -> tuple[Payload, ...]:
    names = cast(dict[str, Any], given).get("blob") if isinstance(given, dict) else None
    wanted: list[Any] = cast(list[Any], names) if isinstance(names, list) else [names]
    if not wanted or len(wanted) > _MAX_FILES or not all(isinstance(name, str) for name in wanted):
        raise _invalid(
            "invalid_body", "`input` names no blob", 'such as {"input": {"blob": "<id from POST /v1/blobs>"}}'
        )
    inputs: list[Payload] = []
    size = 0
    for name in wanted:
        inputs.append(await _blob_input(spec, name, blobs, service))
        size += inputs[-1].size
        _check_size(spec, size, limit_bytes)
    return tuple(inputs)


async def _blob_input(spec: ModuleSpec, blob_id: str, blobs: BlobStore, service: str) -> Payload:
    found = await blobs.find(service, blob_id)
    if found is None:
        raise Problem(404, "blob_not_found", "there is no such blob", "upload it with POST /v1/blobs")
    # The type is what the content shows, as it was when the blob was stored.
    async with aclosing(cast(AsyncGenerator[bytes], blobs.stream(found))) as chunks:
        head = await anext(chunks, b"")
    media_type = sniff(head[:SNIFF_BYTES])
    payload = Payload(media_type=media_type, blob=replace(found, media_type=media_type))
    _check_kind(spec, payload)
    return payload


def _check_size(spec: ModuleSpec, size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise Problem(
            413,
            "upload_too_large",
            f"the input has {size} bytes, more than the {limit_bytes} that the module {spec.name} takes",
            "split the document",
        )


def _check_kind(spec: ModuleSpec, payload: Payload) -> None:
    kind = input_kind(payload.media_type, payload.name)
    if kind not in spec.inputs:
        what = "text" if payload.media_type == TEXT else payload.media_type
        raise Problem(
            415,
            "unsupported_media_type",
            f"the module {spec.name} does not take {what}",
            f"it takes {', '.join(sorted(spec.inputs))}; GET /v1/modules tells what each takes",
        )


def _invalid(code: str, detail: str, remedy: str) -> Problem:
    return Problem(422, code, detail, remedy)
