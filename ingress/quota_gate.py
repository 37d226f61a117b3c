"""Quotas at the doors of ingress: estimates of jobs and calls, and refusals as answers."""

import math
from collections.abc import Mapping
from typing import Any, cast

from ingress.auth import Caller
from ingress.chat.replies import Reply
from ingress.chat.requests import Asked, characters
from ingress.dependencies import Dependencies
from ingress.problems import Problem
from processors.llm.protocols.values import Task
from schemas.events import JobRef
from schemas.payloads import Payload
from schemas.quota_costs import worst_cost
from schemas.quotas import Ask, Estimate, NotAllowed, QuotaExceeded
from schemas.submissions import Submission
from schemas.usage_report import ledger_day
from streams.quota.quotas import CALL_MODULE, Reservation

WARNING_HEADER = "X-Quota-Warning"

_UNSET_COMPLETION = 1_024
"""Tokens reserved for the answer of a call that sets no limit."""

_PROMPT_MARGIN = 1.25
_TOKENS_A_BYTE = 0.3
_PDF_BYTES_A_PAGE = 150_000
_AUDIO_BYTES_A_SECOND = {"audio/wav": 32_000, "audio/flac": 32_000}
_PACKED_AUDIO_BYTES_A_SECOND = 8_000


async def reserve_job(
    dependencies: Dependencies, caller: Caller, job: JobRef, submission: Submission
) -> Reservation | None:
    """Reserve for a job. Raises Problem 403 or 429."""
    quotas = dependencies.quotas
    estimate = Estimate()
    if quotas.limited(caller.service, caller.key_id):
        estimate = _job_estimate(submission.inputs)
        cost = worst_cost(
            dependencies.prices.now(),
            ledger_day(job.created_at_ms),
            prompt_tokens=estimate.tokens,
            completion_tokens=estimate.tokens,
            pages=estimate.pages,
            audio_seconds=estimate.audio_seconds,
        )
        estimate = estimate._replace(money_micros=cost)
    ask = Ask(job.job_id, caller.service, caller.key_id, job.module, estimate, submission.model)
    return await _reserved(dependencies, ask)


async def reserve_call(dependencies: Dependencies, asked: Asked, reply: Reply) -> Reservation | None:
    """Reserve for an interactive call; a warning goes out with the reply. Raises Problem 403 or 429."""
    caller, quotas = asked.caller, dependencies.quotas
    estimate = Estimate()
    if quotas.limited(caller.service, caller.key_id):
        read = dependencies.chat.meter.prompt_tokens(asked.model, characters(asked.call))
        prompt = math.ceil(read * _PROMPT_MARGIN) + len(asked.call.body.get("messages") or ()) * 4
        completion = 0 if asked.call.task is Task.EMBED else _completion(asked.call.body)
        cost = worst_cost(
            dependencies.prices.now(),
            ledger_day(asked.at_ms),
            model=asked.model,
            prompt_tokens=prompt,
            completion_tokens=completion,
        )
        estimate = Estimate(tokens=prompt + completion, money_micros=cost)
    ask = Ask(asked.request_id, caller.service, caller.key_id, CALL_MODULE, estimate, asked.model)
    held = await _reserved(dependencies, ask)
    reply.headers.update(warning_headers(held))
    return held


def warning_headers(held: Reservation | None) -> dict[str, str]:
    """Return the header that tells which limits are nearly used up; empty when none is."""
    if held is None or not held.warnings:
        return {}
    return {WARNING_HEADER: ", ".join(warning.text for warning in held.warnings)}


async def _reserved(dependencies: Dependencies, ask: Ask) -> Reservation | None:
    try:
        return await dependencies.quotas.reserve(ask)
    except NotAllowed as e:
        raise Problem(403, e.code, e.message, e.remedy) from e
    except QuotaExceeded as e:
        headers = {"Retry-After": str(e.retry_after_s), "X-Quota-Exceeded": e.limit}
        raise Problem(429, e.code, e.message, e.remedy, headers=headers) from e


def _job_estimate(inputs: tuple[Payload, ...]) -> Estimate:
    tokens = pages = audio = 0
    for payload in inputs:
        size = payload.blob.size if payload.blob else len(payload.inline or b"")
        kind = payload.media_type
        if kind.startswith("audio/"):
            audio += math.ceil(size / _AUDIO_BYTES_A_SECOND.get(kind, _PACKED_AUDIO_BYTES_A_SECOND))
        elif kind.startswith("image/"):
            pages += 1
        elif kind.startswith(("text/", "application/json")):
            tokens += math.ceil(size * _TOKENS_A_BYTE) + _UNSET_COMPLETION
        else:
            pages += max(1, math.ceil(size / _PDF_BYTES_A_PAGE))
    return Estimate(tokens=tokens, pages=pages, audio_seconds=audio)


def _completion(body: Mapping[str, Any]) -> int:
    options = body.get("options")
    native = cast("Mapping[str, Any]", options).get("num_predict") if isinstance(options, dict) else None
    most = body.get("max_completion_tokens") or body.get("max_tokens") or native
    answers = body.get("n") or 1
    if isinstance(most, int) and most > 0 and isinstance(answers, int):
        return most * max(1, answers)
    return _UNSET_COMPLETION
