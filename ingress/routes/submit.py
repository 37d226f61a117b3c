"""`POST /v1/{module}`: 202 once the request is on the log."""

import time
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.auth import Caller
from ingress.dependencies import Dependencies, dependencies_of
from ingress.job_document import links
from ingress.problems import Problem, unavailable
from ingress.quota_gate import HeldJob, reserved_job, warning_headers, within_budget
from ingress.responses import json_response
from ingress.route_docs import SUBMIT_DOC
from ingress.submit_body import read_submit_body
from ingress.tracing import trace_headers
from schemas.errors import Outage
from schemas.events import JobRef, JobStatus
from schemas.job_view import JobView, iso_time
from schemas.submissions import Submission, accepted, first_request, job_of
from schemas.topics import JOB_EVENTS
from streams.api_keys import Scope
from streams.log.protocols import Headers
from streams.modules import Module, canonical_options
from streams.stages import all_stages
from streams.tables.job_reader import view_of

_MAX_KEY_CHARACTERS = 255


_RETRY_AFTER_S = 30


def add_routes(app: FastAPI) -> None:
    """Add the route. It takes every path under /v1, so it comes after the others."""
    app.add_api_route("/v1/{module}", submit, methods=["POST"], status_code=202, **SUBMIT_DOC)


async def submit(request: Request) -> Response:
    """Ask a module to work on files or a text. Answers once the request is safely on the log."""
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    module = _module(dependencies, request.path_params["module"])
    check_available(dependencies, module)
    key = idempotency_key(request)
    body = await read_submit_body(
        request, module, dependencies.blobs, caller.service, dependencies.settings.max_upload_bytes
    )
    check_choices(dependencies, module, body.options)
    submission = Submission(
        module=module.spec,
        service=caller.service,
        key_id=caller.key_id,
        inputs=body.inputs,
        options=canonical_options(body.options),
        given=canonical_options(body.given),
        idempotency_key=key,
    )
    job = job_of(submission, int(time.time() * 1000))
    request.scope["job_id"] = job.job_id
    if key is not None:
        created_at = await submitted_before(dependencies, caller, job)
        if created_at is not None:
            return _answer(job, created_at, replayed=True)
    warnings = await accept(dependencies, caller, submission, job, trace_headers(request))
    return _answer(job, iso_time(job.created_at_ms), more=warnings)


async def accept(
    dependencies: Dependencies, caller: Caller, submission: Submission, job: JobRef, headers: Headers
) -> Mapping[str, str]:
    """Reserve for the job and put it on the log; returns what to warn its caller of, as headers.

    Raises Problem as `reserved_job` does, and 503 when the log did not take it.
    """
    is_keyed, held = submission.idempotency_key is not None, None
    submission, told = within_budget(dependencies, caller, submission)
    try:
        async with reserved_job(dependencies, caller, job, submission) as held:
            await _put_on_log(dependencies, submission, job, headers, held)
    except BaseException:
        # What may be on the log keeps its claim: other content under its key would be worked on as well.
        if is_keyed and held is None:
            await dependencies.claims.drop(job.job_id, job.input_digest)
        raise
    if is_keyed:
        dependencies.claims.accepted(job.job_id, job.input_digest, job.created_at_ms)
    return {**told, **warning_headers(held.reservation)}


async def _put_on_log(
    dependencies: Dependencies, submission: Submission, job: JobRef, headers: Headers, held: HeldJob
) -> None:
    # 1. the request, acknowledged; 2. the event, acknowledged; 3. the answer. A crash after 1 leaves
    # work that will be done under this id, and no promise to anyone; asking again repeats both.
    topic, request = first_request(submission, job, all_stages())
    try:
        await dependencies.publisher.publish(topic, job.job_id, request, headers)
        held.on_log = True
        await dependencies.publisher.publish(JOB_EVENTS, job.job_id, accepted(submission, job), headers)
    except Outage as e:
        raise unavailable(
            "log_unavailable",
            "the log does not take the request now, so it was not accepted",
            "ask again, with the same Idempotency-Key if there was one",
        ) from e


async def submitted_before(dependencies: Dependencies, caller: Caller, job: JobRef) -> str | None:
    """Return when the job was created that this key has made; None when the key is this submission's.

    Where neither Redis nor the view can tell, that is so too; the fold then tells which submission is the job.
    Raises Problem 409 when the key is used for other content, 410 when its job was purged.
    """
    claims, job_id, digest = dependencies.claims, job.job_id, job.input_digest
    claim = await claims.take(job_id, digest)
    if claim.digest and claim.digest != digest:
        raise _reused(job)
    if claim.created_at_ms:
        return iso_time(claim.created_at_ms)
    if claim.view is not None:
        found = view_of(claim.view)
    else:
        found = await dependencies.jobs.after_a_miss(job_id) if not claim.alone else None
    if not isinstance(found, JobView) or found.service != caller.service:
        return None
    if found.document["status"] == JobStatus.PURGED:
        raise Problem(
            410,
            "job_purged",
            f"this Idempotency-Key made the job {job_id}, which was purged",
            "use another key: what was purged is not done again under its old id",
        )
    if found.digest != digest:
        await claims.drop(job_id, digest)  # taken a moment before the view was there
        raise _reused(job)
    return str(found.document["created_at"])


def _reused(job: JobRef) -> Problem:
    return Problem(
        409,
        "idempotency_key_reused",
        f"this Idempotency-Key made the job {job.job_id} with other content or options",
        "use another key for another request",
    )


def check_available(dependencies: Dependencies, module: Module) -> None:
    """Raise Problem 503 `module_unavailable` when nobody can serve the module now, with the reason and the remedy."""
    lack = dependencies.lacking(module.spec)
    if lack is not None:
        what = f"the module {module.spec.name} is unavailable: {lack.reason}"
        raise unavailable("module_unavailable", what, lack.remedy, retry_after_s=_RETRY_AFTER_S)


def check_choices(dependencies: Dependencies, module: Module, options: Mapping[str, Any]) -> None:
    """Raise Problem 503 `module_unavailable` when a value that was chosen for an option cannot be served now."""
    for choice, lack in dependencies.choices(module.spec).items():
        if lack is not None and options.get(choice.option) == choice.value:
            what = f"{choice.option} {choice.value} of the module {module.spec.name} is unavailable: {lack.reason}"
            raise unavailable("module_unavailable", what, lack.remedy, retry_after_s=_RETRY_AFTER_S)


def _answer(
    job: JobRef, created_at: str | None, *, replayed: bool = False, more: Mapping[str, str] | None = None
) -> Response:
    body: dict[str, Any] = {
        "job_id": job.job_id,
        "module": job.module,
        "status": JobStatus.QUEUED,
        "created_at": created_at,
        "links": links(job.job_id),
    }
    headers = {"Location": f"/v1/jobs/{job.job_id}", **(more or {})}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(body, 202, headers)


def _module(dependencies: Dependencies, name: str) -> Module:
    module = dependencies.modules.get(name)
    if module is None:
        raise Problem(
            404,
            "unknown_module",
            f"there is no module {name[:80]!r}",
            f"the modules are {', '.join(dependencies.modules.names)}; see GET /v1/modules",
        )
    return module


def idempotency_key(request: Request) -> str | None:
    """Return the header's value, if it is there. Raises Problem 422 for one that cannot be used."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= _MAX_KEY_CHARACTERS and key.isprintable()):
        raise Problem(
            422,
            "invalid_idempotency_key",
            f"the Idempotency-Key has {len(key)} characters, or some that cannot be printed",
            f"use 1 to {_MAX_KEY_CHARACTERS} printable characters, such as a UUID",
        )
    return key
