"""Errors as callers see them."""

import orjson
import pytest

from ingress.problems import problem_of, problem_response
from schemas.errors import GatewayError, InvalidInput, Outage, Permanent
from streams.storage.blobs import BlobMissing


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("x", code="invalid_option"), 422),
        (InvalidInput("x", code="not_what_it_claims"), 415),
        (InvalidInput("x", code="unsupported_media_type"), 415),
        (Outage("x", code="blob_store_down"), 503),
        (BlobMissing("x"), 404),
        (Permanent("x", code="record_too_large"), 413),
        (Permanent("x"), 500),
    ],
)
def test_each_error_has_its_status(error: GatewayError, status: int):
    """And keeps its code."""
    response = problem_response(problem_of(error))
    body = orjson.loads(response.body)
    assert response.status_code == body["status"] == status
    assert body["code"] == error.code
    assert response.media_type == "application/problem+json"
    assert set(body) == {"type", "title", "status", "detail", "code", "remedy"}


def test_an_outage_says_when_to_ask_again():
    """As seconds."""
    assert problem_response(problem_of(Outage("x"))).headers["retry-after"].isdecimal()
