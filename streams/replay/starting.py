"""A past record into a new job: its first request, and the event that it was accepted. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from schemas.errors import InvalidInput
from schemas.events import JobEvent, JobEventKind, JobRef, Lane, StageOutcome, StageRequest
from schemas.ids import event_id
from schemas.pipelines import request_event_id
from schemas.replays import ReplayRequest, replayed_id
from schemas.topics import StageTopics, Topic
from streams.modules import Module, Offered, canonical_options


class NewJob(NamedTuple):
    """A job that repeats another."""

    topic: Topic
    request: StageRequest
    accepted: JobEvent


def new_job(
    replay_id: str,
    asked: ReplayRequest,
    source: StageRequest | StageOutcome,
    modules: Offered,
    stages: Mapping[str, StageTopics],
    now_ms: int,
) -> NewJob:
    """Return the job that does `source`'s again; only its times depend on when this is called.

    Its slip begins with the stage that is asked for: what came before was done, and charged, with the original.
    Raises InvalidInput when the job cannot be done again in this way; the code says why.
    """
    module = _module(asked.module or source.job.module, modules)
    if asked.module_version not in ("", module.spec.version):
        raise InvalidInput(f"{module.spec.name}@{asked.module_version} no longer runs", code="unknown_version")
    following = source.position + 1 if isinstance(source, StageOutcome) else source.position
    if following >= len(source.steps):
        raise InvalidInput("nothing came after this stage", code="no_next_stage")
    kind = source.steps[following].kind
    if asked.stage and asked.stage != kind:
        raise InvalidInput(f"what came next was {kind}, not {asked.stage}", code="other_stage")
    places = [i for i, step in enumerate(module.spec.steps) if step.kind == kind]
    if not places:
        raise InvalidInput(f"the module {module.spec.name} has no stage {kind}", code="stage_not_in_module")
    steps = module.spec.steps[places[0] :]
    inputs = source.outputs if isinstance(source, StageOutcome) else source.inputs
    job = JobRef(
        job_id=replayed_id(replay_id, source.job.job_id),
        service=source.job.service,
        key_id=source.job.key_id,
        module=module.spec.name,
        module_version=module.spec.version,
        lane=Lane.REPLAY,
        created_at_ms=now_ms,
        input_digest=source.job.input_digest,
        replay_of=source.job.job_id,
    )
    request = StageRequest(
        event_id=request_event_id(job.job_id, job.epoch, steps[0].name),
        job=job,
        steps=steps,
        position=0,
        inputs=inputs,
        options=_options(module, source.options, asked.model),
        requested_at_ms=now_ms,
    )
    accepted = JobEvent(
        event_id=event_id(job.job_id, job.epoch, JobEventKind.ACCEPTED),
        job=job,
        kind=JobEventKind.ACCEPTED,
        steps=steps,
        at_ms=now_ms,
        inputs=inputs,
    )
    return NewJob(stages[kind].requests[Lane.REPLAY], request, accepted)


def _module(name: str, modules: Offered) -> Module:
    module = modules.get(name)
    if module is None:
        raise InvalidInput(f"there is no module {name[:80]!r} now", code="unknown_module")
    return module


def _options(module: Module, given: str, model: str) -> str:
    """Return the options for the module as it is now: what it no longer has is left out."""
    known = module.spec.options.get("properties", {})
    options = {name: value for name, value in orjson.loads(given or "{}").items() if name in known}
    if model:
        options["model"] = model
    return canonical_options(module.options(options))
