"""Values for tests, with everything filled in that a test does not care about."""

import time
from dataclasses import replace
from uuid import uuid4

from schemas.events import JobRef, Lane, StageRequest, Step
from schemas.ids import new_job_id
from schemas.payloads import Payload, text_payload
from schemas.pipelines import request_event_id
from schemas.topics import StageTopics, stage_topics

ECHO_MODULE = """\
name: echo
version: "1"
title: {ko: 메아리, en: Echo}
description: {ko: 메아리, en: Gives back}
inputs: [text]
stages: [noop]
"""
"""A module's file, as far as every module has it; options and more may follow."""


def now_ms() -> int:
    """The time."""
    return time.time_ns() // 1_000_000


def job_ref(*, service: str = "mail-room", lane: str = Lane.INTERACTIVE, module: str = "noop") -> JobRef:
    """A job that was just created."""
    return JobRef(
        job_id=new_job_id(now_ms()),
        service=service,
        key_id="k1",
        module=module,
        module_version="1",
        lane=lane,
        created_at_ms=now_ms(),
        input_digest="0" * 64,
    )


def beside(job: JobRef) -> JobRef:
    """Another submission under a job's id: it stands on the same partition, and is no repeat of the first."""
    return replace(job, input_digest=uuid4().hex * 2)


def stage_request(
    *kinds: str,
    job: JobRef | None = None,
    inputs: tuple[Payload, ...] = (text_payload("hello"),),
    options: str = "{}",
    position: int = 0,
) -> StageRequest:
    """A request for one step of a job whose steps have these kinds and are named after them."""
    job = job or job_ref()
    steps = tuple(Step(kind, kind) for kind in kinds)
    return StageRequest(
        event_id=request_event_id(job.job_id, job.epoch, kinds[position]),
        job=job,
        steps=steps,
        position=position,
        inputs=inputs,
        options=options,
        requested_at_ms=now_ms(),
    )


def own_stage(name: str = "stage", *, done: bool = False) -> StageTopics:
    """The topics of a stage kind that no other test uses."""
    kind = f"{name}-{uuid4().hex[:8]}"
    return stage_topics(kind, f"{kind}.requests", f"{kind}.done" if done else None)
