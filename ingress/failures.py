"""What a caller is told when a route raised something that routes may raise."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ingress.job_lookup import content_removed
from ingress.problems import Problem, problem_of, problem_response
from schemas.errors import GatewayError
from streams.storage.blobs import BlobMissing

FORESEEN = (Problem, GatewayError, ClientDisconnect)
"""What routes may raise; everything else is a fault of ours."""


def failure_response(request: Request, error: Exception) -> Response:
    """Return the answer to one of FORESEEN."""
    if isinstance(error, Problem):
        return problem_response(error)
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it; the log line does
    assert isinstance(error, GatewayError)
    if isinstance(error, BlobMissing) and "job_id" in request.path_params:
        return problem_response(content_removed())
    return problem_response(problem_of(error))
