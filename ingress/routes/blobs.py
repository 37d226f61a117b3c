"""`POST /v1/blobs`: upload once, refer to it from jobs."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.dependencies import dependencies_of
from ingress.multipart import MultipartReader
from ingress.problems import Problem
from ingress.responses import json_response
from ingress.route_docs import BLOB_DOC
from ingress.uploads import Uploads
from schemas.payloads import Payload
from streams.api_keys import Scope


def add_routes(app: FastAPI) -> None:
    """Add the route."""
    app.add_api_route("/v1/blobs", upload, methods=["POST"], status_code=201, **BLOB_DOC)


async def upload(request: Request) -> Response:
    """Store a file, sent as the form field `file` or as the raw body. The same content has the same id."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    uploads = Uploads(dependencies.blobs, caller.service, dependencies.settings.max_upload_bytes)
    payload = await _stored(request, uploads)
    assert payload.blob is not None
    ref = payload.blob
    return json_response(
        {"blob": ref.sha256, "sha256": ref.sha256, "size": ref.size, "media_type": ref.media_type}, 201
    )


async def _stored(request: Request, uploads: Uploads) -> Payload:
    uploads.check_length(request.headers.get("content-length"))
    content_type = request.headers.get("content-type", "")
    body = uploads.bounded(request.stream())
    if not content_type.lower().startswith("multipart/form-data"):
        return await uploads.store("", content_type, body)
    reader = MultipartReader(content_type.encode("latin-1"), body)
    payload: Payload | None = None
    async for part in reader.parts():
        if part.name != "file" or payload is not None:
            raise Problem(422, "unknown_field", "the form has more than one `file`", "send one file a call")
        payload = await uploads.store(part.filename or "", part.content_type, reader.content())
    if payload is None:
        raise Problem(422, "missing_file", "the form has no `file`", "send one, as curl -F file=@letter.pdf does")
    return payload
