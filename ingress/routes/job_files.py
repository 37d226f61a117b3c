"""What belongs to a job besides its result: its input, and the pictures of its pages."""

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from ingress.dependencies import Dependencies, dependencies_of
from ingress.evidence.findings import Place, places_at
from ingress.evidence.pictures import UnusablePicture, highlighted
from ingress.job_lookup import find_job
from ingress.page_manifest import PAGES, stored_pages
from ingress.problems import Problem
from ingress.query import integer
from ingress.route_docs import INPUT_DOC, PAGE_DOC
from ingress.routes.evidence import read_result
from schemas.payloads import BlobRef, Payload
from streams.api_keys import Scope

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
    """Give a page's image as the OCR saw it; boxes are fractions of it. `highlight` draws those of a value."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.viewer(request, Scope.JOBS)
    view = await find_job(request, dependencies, caller, request.path_params["job_id"])
    number: str = request.path_params["number"]
    if PAGES not in view.artifacts:
        raise Problem(404, "page_not_found", "the job has no page images (yet)", "wait until its stage `ocr` is done")
    pages = await stored_pages(view, dependencies.blobs)
    page = next((page for page in pages if str(page.number) == number), None)
    if page is None:
        raise Problem(404, "page_not_found", f"there is no such page; there are {len(pages)}", "pages count from 1")
    pointer = request.query_params.get("highlight")
    if pointer is None:
        return await _blob_response(dependencies, page.blob, "image/png", _UNTRUSTED)
    places = places_at(await read_result(view, dependencies), pointer)
    boxes = [place.box for place in places if place.box is not None and place.page == page.number]
    if not boxes:
        raise _nothing_to_highlight(pointer, page.number, places)
    async with dependencies.drawing:
        stored = await dependencies.blobs.get(page.blob)
        try:
            png = await asyncio.to_thread(highlighted, stored, boxes)
        except UnusablePicture as e:
            raise Problem(404, "page_not_found", str(e), "submit the document again") from e
    return Response(png, 200, {**_UNTRUSTED, "Cache-Control": "private, no-store"}, "image/png")


def _nothing_to_highlight(pointer: str, number: int, places: Sequence[Place]) -> Problem:
    elsewhere = sorted({place.page for place in places if place.box is not None})
    return Problem(
        404,
        "highlight_not_found",
        f"highlight: {pointer[:80]!r} has no place on page {number}"
        + (f"; it stands on page {', '.join(map(str, elsewhere))}" if elsewhere else ""),
        "ask with a JSON Pointer of the result's `evidence`, such as ?highlight=/title",
    )


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
