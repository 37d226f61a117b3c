"""Quotas at the doors of ingress: estimates of jobs and calls, and refusals as answers."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from ingress.auth import Caller
from ingress.chat.replies import Reply
from ingress.chat.requests import Asked
from ingress.dependencies import Dependencies
from ingress.problems import Problem, unavailable
from processors.llm.protocols.values import Task
from schemas.events import JobRef
from schemas.quota_costs import worst_cost
from schemas.quota_estimates import UNSET_COMPLETION, job_estimate
from schemas.quotas import Ask, Estimate, NotAllowed, QuotaExceeded
from schemas.submissions import Submission
from schemas.usage_report import ledger_day
from streams.quota.quotas import CALL_MODULE
from streams.quota.reservations import Reservation

WARNING_HEADER = "X-Quota-Warning"


@dataclass(slots=True)
class HeldJob:
    """What is reserved for a job. `on_log` is set once its request is there: then the job's end gives it back."""

    reservation: Reservation | None
    on_log: bool = False


@asynccontextmanager
async def reserved_job(
    dependencies: Dependencies, caller: Caller, job: JobRef, submission: Submission
) -> AsyncGenerator[HeldJob]:
    """Reserve for a job that is put on the log meanwhile; given back when that fails, unless its request is there.

    Raises Problem 403 or 429, or 503 while the quotas are being read.
    """
    quotas = dependencies.quotas
    estimate = Estimate()
    if quotas.limited(caller.service, caller.key_id):
        prices, day = dependencies.prices.now(), ledger_day(job.created_at_ms)
        estimate = job_estimate(submission.inputs, submission.steps, submission.options, prices, day)
    ask = Ask(job.job_id, caller.service, caller.key_id, job.module, estimate, submission.model)
    held = HeldJob(await _reserved(dependencies, ask))
    try:
        yield held
    except BaseException:
        if not held.on_log:
            dependencies.quotas.release(held.reservation)
        raise


async def reserve_call(dependencies: Dependencies, asked: Asked, reply: Reply) -> Reservation | None:
    """Reserve for an interactive call; a warning goes out with the reply. Raises Problem as `reserved_job` does."""
    caller, quotas = asked.caller, dependencies.quotas
    estimate = Estimate()
    if quotas.limited(caller.service, caller.key_id):
        prompt = dependencies.chat.pool.estimates.most_prompt_tokens(asked.model, asked.call)
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
    if not dependencies.services.loaded:
        # What is not known yet would pass for a service without limits.
        raise unavailable("services_loading", "the quotas are still being read from the log", retry_after_s=1)
    try:
        return await dependencies.quotas.reserve(ask)
    except NotAllowed as e:
        raise Problem(403, e.code, e.message, e.remedy) from e
    except QuotaExceeded as e:
        headers = {"Retry-After": str(e.retry_after_s), "X-Quota-Exceeded": e.limit}
        raise Problem(429, e.code, e.message, e.remedy, headers=headers) from e


def _completion(body: Mapping[str, Any]) -> int:
    options = body.get("options")
    native = cast("Mapping[str, Any]", options).get("num_predict") if isinstance(options, dict) else None
    most = body.get("max_completion_tokens") or body.get("max_tokens") or native
    answers = body.get("n") or 1
    if isinstance(most, int) and most > 0 and isinstance(answers, int):
        return most * max(1, answers)
    return UNSET_COMPLETION
