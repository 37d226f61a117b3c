"""`POST /v1/audio/transcriptions` and `/translations`: a job of the module `stt`, waited for.

The job is an ordinary one: it is on the log before anything is waited for, metered, and found under
its id. Who does not wait long enough gets the id (504); who goes away cancels it, unless an
Idempotency-Key says that the caller will ask again.
"""

import asyncio
import time
from pathlib import PurePath
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ingress.audio.answers import MEDIA_TYPES, answer
from ingress.audio.docs import openapi_of
from ingress.audio.form import PUBLIC_MODEL, AudioCall, call_of, read_form
from ingress.auth import Caller
from ingress.dependencies import Dependencies, dependencies_of
from ingress.job_document import is_final
from ingress.problems import Problem, Refusal, problem_of, unavailable
from ingress.routes.cancel import put_cancellation
from ingress.routes.submit import accept, check_available, idempotency_key, submitted_before
from ingress.tracing import trace_headers
from ingress.uploads import Uploads
from processors.llm.protocols.failures import failure_body
from processors.llm.protocols.values import Dialect
from schemas.errors import GatewayError, InvalidInput
from schemas.events import JobRef, JobStatus
from schemas.job_view import JobView
from schemas.media import input_kind
from schemas.submissions import Submission, job_of
from streams.api_keys import Scope
from streams.modules import Module, canonical_options
from streams.settings import Settings
from streams.storage import claim_check
from streams.tables.view_json import view_token

MODULE = "stt"
_DEFAULT_MODEL = "large-v3-turbo"
_LOOK_S = 5.0

_TASKS = {"/v1/audio/transcriptions": "transcribe", "/v1/audio/translations": "translate"}


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    for path, task in _TASKS.items():
        app.add_api_route(path, serve, methods=["POST"], **openapi_of(task))


async def serve(request: Request) -> Response:
    """Write down what a recording says, in OpenAI's shapes; its errors too."""
    request.scope["refused"] = _refusal
    try:
        return await _serve(request, _TASKS[request.url.path])
    except GatewayError as error:
        return _refusal(problem_of(error))
    except Problem as problem:
        return _refusal(problem)


def model_names(settings: Settings) -> tuple[str, ...]:
    """Return the names that stand for the gateway's speech model."""
    own = PurePath(settings.stt_model or _DEFAULT_MODEL).name
    return tuple(dict.fromkeys((PUBLIC_MODEL, MODULE, own)))


async def _serve(request: Request, task: str) -> Response:
    dependencies = dependencies_of(request)
    caller = dependencies.authenticator.caller(request, Scope.JOBS)
    module = dependencies.modules.get(MODULE)
    if module is None:
        raise unavailable("module_unavailable", "this gateway has no module stt", "add modules/stt.yml")
    check_available(dependencies, module)
    settings = dependencies.settings
    limit = min(settings.max_upload_bytes, module.spec.max_input_bytes or settings.max_upload_bytes)
    key = idempotency_key(request)
    recording, fields = await read_form(request, Uploads(dependencies.blobs, caller.service, limit), task)
    if input_kind(recording.media_type, recording.name) not in module.spec.inputs:
        raise Problem(415, "unsupported_media_type", f"file: {recording.media_type} is no sound", "send a recording")
    call = call_of(recording, fields, task, model_names(settings))
    submission = Submission(
        module=module.spec,
        service=caller.service,
        key_id=caller.key_id,
        inputs=(recording,),
        options=canonical_options(_options(module, call)),
        given=canonical_options(call.options),
        idempotency_key=key,
    )
    job = job_of(submission, int(time.time() * 1000))
    request.scope["job_id"] = job.job_id
    told = {"Location": f"/v1/jobs/{job.job_id}", "X-Job-Id": job.job_id}
    if key is None or await submitted_before(dependencies, caller, job) is None:
        told.update(await accept(dependencies, caller, submission, job, trace_headers(request)))
    view = await _ended(request, dependencies, job, keep=key is not None)
    return await _answered(dependencies, caller, job, view, call, told)


def _options(module: Module, call: AudioCall) -> dict[str, Any]:
    try:
        return module.options(call.options)
    except InvalidInput as error:
        # The caller knows this one by its name in OpenAI's form.
        told, remedy = (text.replace("initial_prompt", "prompt") for text in (error.message, error.remedy))
        raise InvalidInput(told, code=error.code, remedy=remedy) from error


async def _ended(request: Request, dependencies: Dependencies, job: JobRef, *, keep: bool) -> JobView | None:
    """Return the job when it has ended; None when that takes too long. Cancels it when the caller goes away."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + dependencies.settings.audio_wait_seconds
    view: JobView | None = None
    while (left := deadline - loop.time()) > 0 and not dependencies.closing.is_set():
        since = view_token(view) if view is not None else None
        found = await dependencies.notifications.wait_for_change(job.job_id, since, min(left, _LOOK_S))
        view = found if isinstance(found, JobView) else view
        if view is not None and is_final(view):
            return view
        if not keep and view is not None and await request.is_disconnected():
            await put_cancellation(dependencies, view, trace_headers(request))
            raise Problem(499, "caller_gone", "the caller went away", "")
    return None


async def _answered(
    dependencies: Dependencies, caller: Caller, job: JobRef, view: JobView | None, call: AudioCall, told: dict[str, str]
) -> Response:
    if view is None:
        raise Problem(
            504,
            "transcription_timeout",
            f"the recording is not done after {dependencies.settings.audio_wait_seconds} s; it goes on as the job "
            f"{job.job_id}",
            f"look at GET /v1/jobs/{job.job_id}",
            # Clients repeat a 504 by themselves, which would be another job.
            headers={**told, "x-should-retry": "false"},
        )
    assert view.service == caller.service
    if view.document["status"] != JobStatus.DONE or view.result is None:
        raise _failed(view, told)
    result = await claim_check.read(view.result, dependencies.blobs)
    body = answer(result, call.form, call.granularities)
    return Response(body, 200, told, MEDIA_TYPES[call.form])


def _failed(view: JobView, where: dict[str, str]) -> Problem:
    error = view.document.get("error") or {}
    if view.document["status"] == JobStatus.CANCELLED:
        told = f"the job {view.job.job_id} was cancelled"
        # Clients repeat a 409 by themselves, which would be the cancelled job over again.
        once = {**where, "x-should-retry": "false"}
        return Problem(409, "job_cancelled", told, "send it again", headers=once)
    code, message = str(error.get("code", "failed")), str(error.get("message", "the job failed"))
    blamed = code.startswith(("audio_", "no_audio", "invalid_", "unknown_language", "one_recording"))
    headers = where if blamed else {**where, "x-should-retry": "false"}
    return Problem(400 if blamed else 500, code, message, headers=headers)


def _refusal(problem: Problem) -> Response:
    # OpenAI's clients know 400 for what is wrong with a request; 422 is the same to them.
    status = 400 if problem.status == 422 else problem.status
    text = f"{problem.detail}; {problem.remedy}" if problem.remedy else problem.detail
    return Refusal(failure_body(Dialect.OPENAI, status, text, problem.code), problem, "application/json", status)
