"""The job as an answer: the view's document with links and, when it is done, its result."""

from typing import Any

import orjson

from schemas.events import TERMINAL, JobStatus
from schemas.job_view import JobView
from schemas.payloads import Payload
from streams.storage import claim_check
from streams.storage.blobs import BlobStore


def links(job_id: str) -> dict[str, str]:
    """Return where a job is found."""
    return {"self": f"/v1/jobs/{job_id}", "events": f"/v1/jobs/{job_id}/events"}


def is_final(view: JobView) -> bool:
    """Tell whether the job has ended."""
    return view.document["status"] in TERMINAL


def short_document(view: JobView) -> dict[str, Any]:
    """Return a job without its result, as in lists."""
    body = {name: value for name, value in view.document.items() if name != "result"}
    return {**body, "links": links(view.document["job_id"])}


async def full_document(view: JobView, blobs: BlobStore) -> dict[str, Any]:
    """Return a job with its result, from the blob store where it is large.

    Raises BlobMissing when the result's retention is over, Outage when the store cannot be reached.
    """
    body = {**view.document, "links": links(view.document["job_id"])}
    if view.result is not None and body["status"] == JobStatus.DONE:
        body["result"] = _as_json(view.result, await claim_check.read(view.result, blobs))
    return body


def _as_json(payload: Payload, content: bytes) -> Any:
    if payload.media_type.partition(";")[0] == "application/json":
        return orjson.Fragment(content)  # our own processors' JSON: embedded without a second parsing
    return {"media_type": payload.media_type, "text": content.decode(errors="replace")}
