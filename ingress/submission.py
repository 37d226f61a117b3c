"""A submission as values: `schemas.submissions`, under the name that ingress knows it by."""

from schemas.submissions import Submission, accepted, first_request, input_digest, job_of

__all__ = ["Submission", "accepted", "first_request", "input_digest", "job_of"]
