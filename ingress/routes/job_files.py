"""What belongs to a job besides its result: its input, and the pictures of its pages."""

from urllib.parse import quote

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from ingress.dependencies import Dependencies, dependencies_of
from ingress.examples import INPUT_DOC, PAGE_DOC
from ingress.job_lookup import find_job
from ingress.problems import Problem
from ingress.query import integer
from schemas.payloads import BlobRef, Payload
from streams.api_keys import Scope

PAGES = "pages"
"""The artifact that holds the manifest of a document's page images."""

# What callers uploaded is never shown as a page of ours: no scripts, no guessing of types.
_UNTRUSTED = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    app.add_api_route("/v1/jobs/{job_id}/input", job_input, methods=["GET"], **INPUT_DOC)
    app.add_api_route("/v1/jobs/{job_id}/pages/{number}.png", page_image, methods=["GET"], **PAGE_DOC)


async def job_input(request: Request) -> Response:
    """Give back what the job was given; `n` chooses among several files, `X-Input-Count` tells how many."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    view = await find_job(request, dependencies, caller, request.path_params["job_id"])
    number = integer(request, "n", 1, least=1)
    if number > len(view.inputs):
        raise Problem(404, "input_not_found", f"the job has {len(view.inputs)} inputs", "ask for one of them with ?n=1")
    payload = view.inputs[number - 1]
    headers = {**_UNTRUSTED, **_attachment(payload), "X-Input-Count": str(len(view.inputs))}
    if payload.blob is None:
        return Response(payload.inline or b"", 200, headers, payload.media_type)
    return await _blob_response(dependencies, payload.blob, payload.media_type, headers)


async def page_image(request: Request) -> Response:
    """Give a page's image as the OCR saw it; its boxes are fractions of this image."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    view = await find_job(request, dependencies, caller, request.path_params["job_id"])
    number: str = request.path_params["number"]
    manifest = view.artifacts.get(PAGES)
    if manifest is None:
        raise Problem(404, "page_not_found", "the job has no page images (yet)", "wait until its stage `ocr` is done")
    pages = orjson.loads(await dependencies.blobs.get(manifest))[PAGES]
    image = next((page["blob"] for page in pages if str(page["number"]) == number), None)
    if image is None:
        raise Problem(404, "page_not_found", f"there is no such page; there are {len(pages)}", "pages count from 1")
    return await _blob_response(dependencies, BlobRef(**image), "image/png", _UNTRUSTED)


async def _blob_response(
    dependencies: Dependencies, ref: BlobRef, media_type: str, headers: dict[str, str]
) -> StreamingResponse:
    chunks = dependencies.blobs.stream(ref)
    first = await anext(chunks, b"")  # a blob that is missing is told while the answer can still say so

    async def content():
        yield first
        async for chunk in chunks:
            yield chunk

    return StreamingResponse(content(), 200, {**headers, "Content-Length": str(ref.size)}, media_type)


def _attachment(payload: Payload) -> dict[str, str]:
    name = payload.name or "input.txt"
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
