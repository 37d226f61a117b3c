"""`GET /v1/jobs/{id}/evidence.html`: what was read, beside where it was read."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from ingress.dependencies import Dependencies, dependencies_of
from ingress.evidence.document import Sheet, evidence_page, page_headers
from ingress.evidence.findings import findings_of
from ingress.evidence.pictures import UnusablePicture, small_jpeg
from ingress.job_lookup import find_job
from ingress.page_manifest import StoredPage, stored_pages
from ingress.problems import Problem
from ingress.route_docs import EVIDENCE_DOC
from schemas.events import JobStatus
from schemas.job_view import JobView
from schemas.payloads import BlobRef
from streams.api_keys import Scope
from streams.storage import claim_check
from streams.storage.blobs import BlobMissing

MOST_PICTURES = 24
"""How many pages have their pictures in the file: about 5 MB. Those that something was read from come first."""


def add_routes(app: FastAPI) -> None:
    """Add the route."""
    app.add_api_route("/v1/jobs/{job_id}/evidence.html", evidence, methods=["GET"], **EVIDENCE_DOC)


async def evidence(request: Request) -> Response:
    """Show a letter's pages and the values read from them side by side, in one file that needs nothing else."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.viewer(request, Scope.JOBS)
    view = await find_job(request, dependencies, caller, request.path_params["job_id"])
    result = await read_result(view, dependencies)
    sheets = await _sheets(await stored_pages(view, dependencies.blobs), _wanted(result), dependencies)
    page = await asyncio.to_thread(evidence_page, view.job.job_id, view.document["module"], result, sheets)
    return HTMLResponse(page, headers=page_headers())


async def read_result(view: JobView, dependencies: Dependencies) -> Mapping[str, Any]:
    """Return a job's result, which has values with evidence.

    Raises Problem 404 when the job has none (yet), BlobMissing when the result's retention is over.
    """
    if view.document["status"] != JobStatus.DONE or view.result is None:
        raise Problem(
            404,
            "evidence_not_found",
            f"the job is {view.document['status']} and has no result to show",
            "wait until it is done: GET /v1/jobs/{id}?wait=30",
        )
    result: object = None
    if view.result.media_type.partition(";")[0] == "application/json":
        result = await asyncio.to_thread(orjson.loads, await claim_check.read(view.result, dependencies.blobs))
    # A letter of which nothing could be read has a result without evidence: that is worth showing too.
    if not isinstance(result, dict) or not ("evidence" in result or "schema_version" in result):
        raise Problem(
            404,
            "evidence_not_found",
            f"results of the module {view.document['module']} have no evidence",
            "it is there for letters: POST /v1/gongmun",
        )
    return cast("Mapping[str, Any]", result)


def _wanted(result: Mapping[str, Any]) -> list[int]:
    return sorted({place.page for finding in findings_of(result) for place in finding.places})


async def _sheets(pages: Sequence[StoredPage], wanted: Sequence[int], dependencies: Dependencies) -> list[Sheet]:
    ordered = sorted(pages, key=lambda page: (page.number not in wanted, page.number))
    shown = {page.number for page in ordered[:MOST_PICTURES]}
    sheets: list[Sheet] = []
    for page in pages:
        jpeg = await _picture(page.blob, dependencies) if page.number in shown else None
        sheets.append(Sheet(page.number, page.width, page.height, jpeg, left_out=jpeg is None))
    return sheets


async def _picture(blob: BlobRef, dependencies: Dependencies) -> bytes | None:
    async with dependencies.drawing:
        try:
            return await asyncio.to_thread(small_jpeg, await dependencies.blobs.get(blob))
        except (BlobMissing, UnusablePicture):
            return None  # the values and their boxes are still worth showing
