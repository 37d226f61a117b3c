"""A job's view as the JSON that stands in Redis, and back."""

import hashlib
from base64 import b64decode, b64encode
from typing import Any

import orjson

from schemas.events import JobRef, Step
from schemas.job_view import JobView
from schemas.payloads import BlobRef, Payload


def encode_view(view: JobView) -> bytes:
    """Return a view as JSON; inline content is in base64."""
    return orjson.dumps(
        {
            "job": view.job,
            "steps": view.steps,
            "document": view.document,
            "service": view.service,
            "digest": view.digest,
            "result": view.result,
            "inputs": view.inputs,
            "artifacts": view.artifacts,
        },
        default=_bytes_as_text,
    )


def decode_view(raw: bytes | str) -> JobView:
    """Read a view.

    Raises ValueError, KeyError or TypeError when `raw` is no view.
    """
    value = orjson.loads(raw)
    return JobView(
        job=JobRef(**value["job"]),
        steps=tuple(Step(**step) for step in value["steps"]),
        document=value["document"],
        service=value["service"],
        digest=value["digest"],
        result=_payload(value["result"]) if value["result"] else None,
        inputs=tuple(_payload(p) for p in value["inputs"]),
        artifacts={name: BlobRef(**ref) for name, ref in value["artifacts"].items()},
    )


def view_token(view: JobView) -> str:
    """Return a short text that differs whenever the view does."""
    return hashlib.blake2b(encode_view(view), digest_size=12).hexdigest()


def _payload(value: dict[str, Any]) -> Payload:
    inline, blob = value["inline"], value["blob"]
    return Payload(
        media_type=value["media_type"],
        name=value["name"],
        inline=None if inline is None else b64decode(inline),
        blob=BlobRef(**blob) if blob else None,
    )


def _bytes_as_text(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(f"a view cannot hold a {type(value).__name__}")
