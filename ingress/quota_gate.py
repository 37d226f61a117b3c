"""Quotas at the doors of ingress: estimates of jobs and calls, and refusals as answers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from ingress.auth import Caller
from ingress.chat.replies import Reply
from ingress.chat.requests import Asked
from ingress.dependencies import Dependencies
from ingress.problems import Problem, unavailable
from processors.llm.pool.most_used import answer_limit, answers, sets_limit
from schemas.events import JobRef
from schemas.quota_costs import worst_cost
from schemas.quota_estimates import UNSET_COMPLETION, job_estimate, limited_answers
from schemas.quotas import Ask, Estimate, NotAllowed, QuotaExceeded
from schemas.submissions import Submission
from schemas.usage_report import ledger_day
from streams.quota.quotas import CALL_MODULE
from streams.quota.reservations import Reservation

WARNING_HEADER = "X-Quota-Warning"
LIMIT_HEADER = "X-Quota-Max-Tokens"


@dataclass(slots=True)
class HeldJob:
    """What is reserved for a job. `on_log` is set once its request is there: then the job's end gives it back."""

    reservation: Reservation | None
    on_log: bool = False


def within_budget(
    dependencies: Dependencies, caller: Caller, submission: Submission
) -> tuple[Submission, dict[str, str]]:
    """Return a submission whose answers are limited to what is reserved for them, and the header that tells the limit.

    As for a call, only where a budget of tokens or money holds and neither its caller nor its module set a limit.
    """
    most = dependencies.quotas.unset_answer(caller.service, caller.key_id)
    if most is None:
        return submission, {}
    steps = limited_answers(submission.module.steps, submission.options, most)
    if steps == submission.module.steps:
        return submission, {}
    return replace(submission, module=replace(submission.module, steps=steps)), {LIMIT_HEADER: str(most)}


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


async def reserve_call(dependencies: Dependencies, asked: Asked, reply: Reply) -> tuple[Asked, Reservation | None]:
    """Reserve for an interactive call, and return it with the limit on its answer that was reserved.

    Where a budget of tokens or money holds and its caller set no limit, the answer gets one: what is reserved is not
    passed. It goes out with the reply, as a warning does. Raises Problem as `reserved_job` does.
    """
    caller, quotas = asked.caller, dependencies.quotas
    estimate = Estimate()
    if quotas.limited(caller.service, caller.key_id):
        unset = quotas.unset_answer(caller.service, caller.key_id)
        most = answer_limit(asked.call, UNSET_COMPLETION if unset is None else unset)
        estimate = _call_estimate(dependencies, asked, most)
        if unset is not None:
            asked = replace(asked, call=replace(asked.call, answer_limit=most))
            if answers(asked.call) and not sets_limit(asked.call):
                reply.headers[LIMIT_HEADER] = str(most)
    ask = Ask(asked.request_id, caller.service, caller.key_id, CALL_MODULE, estimate, asked.model)
    held = await _reserved(dependencies, ask)
    reply.headers.update(warning_headers(held))
    return asked, held


def warning_headers(held: Reservation | None) -> dict[str, str]:
    """Return the header that tells which limits are nearly used up; empty when none is."""
    if held is None or not held.warnings:
        return {}
    return {WARNING_HEADER: ", ".join(warning.text for warning in held.warnings)}


def _call_estimate(dependencies: Dependencies, asked: Asked, most: int) -> Estimate:
    """Return the most that a call with such answers may use, at the highest price of the models that may serve it."""
    door = dependencies.chat
    catalogue = door.pool.catalogue
    models = [asked.model]
    if asked.model in catalogue.models:
        model, service = catalogue.models[asked.model], asked.caller.service
        models += [m.name for m in catalogue.fallbacks_of(model, service, door.allowed(asked.caller))]
    prompt = max(door.pool.estimates.most_prompt_tokens(name, asked.call) for name in models)
    completion = most * answers(asked.call)
    cost = worst_cost(
        dependencies.prices.now(),
        ledger_day(asked.at_ms),
        models=models,
        prompt_tokens=prompt,
        completion_tokens=completion,
    )
    return Estimate(tokens=prompt + completion, money_micros=cost)


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
