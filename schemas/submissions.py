"""A submission as values: its digest, its first request and the event that it was accepted. Pure."""

import hashlib
import json
from collections.abc import Mapping

from schemas.events import JobEvent, JobEventKind, JobRef, Lane, StageRequest, Step
from schemas.ids import event_id, keyed_job_id, new_job_id
from schemas.modules import ModuleSpec
from schemas.payloads import Payload
from schemas.pipelines import request_event_id
from schemas.topics import STAGES, StageTopics, Topic
from schemas.values import value

REST = "rest"
BATCH = "batch"

UNNAMED_MODEL = "(default)"
"""Stands for a model that nobody named; a service whose models are limited has to name one."""

_LLM = "llm"


@value
class Submission:
    """What a caller asks for, before it has an id. `options` is canonical JSON; `door` is where it came in.

    `idempotency_key` is what its caller names it by, if anything: the header of REST, a batch record's request id.
    `given` is what of the options the caller set, canonical too; None: all of them.
    """

    module: ModuleSpec
    service: str
    key_id: str
    inputs: tuple[Payload, ...]
    options: str
    idempotency_key: str | None
    door: str = REST
    lane: Lane = Lane.INTERACTIVE
    given: str | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The routing slip: the module's, as these inputs need it."""
        return self.module.steps_for(self.inputs)

    @property
    def model(self) -> str:
        """The language model asked for: empty where the module leaves no choice, UNNAMED_MODEL where nobody chose."""
        if "model" not in self.module.options.get("properties", {}) or all(s.kind != _LLM for s in self.module.steps):
            return ""
        return json.loads(self.options or "{}").get("model") or UNNAMED_MODEL


def input_digest(submission: Submission) -> str:
    """Return the hash of what is asked for: module, options and the inputs' contents, not their names.

    The options are those that the caller set: a default that the module's file changes is not the caller's.
    """
    options = submission.options if submission.given is None else submission.given
    digest = hashlib.sha256(f"{submission.module.name}\x00{options}".encode())
    for payload in submission.inputs:
        content = payload.blob.sha256 if payload.blob else hashlib.sha256(payload.inline or b"").hexdigest()
        digest.update(b"\x00" + content.encode())
    return digest.hexdigest()


def job_of(submission: Submission, now_ms: int) -> JobRef:
    """Return the job: with an idempotency key its id is a function of service, door and key."""
    key = submission.idempotency_key
    return JobRef(
        job_id=keyed_job_id(submission.service, submission.door, key) if key is not None else new_job_id(now_ms),
        service=submission.service,
        key_id=submission.key_id,
        module=submission.module.name,
        module_version=submission.module.version,
        lane=submission.lane,
        created_at_ms=now_ms,
        input_digest=input_digest(submission),
    )


def first_request(
    submission: Submission, job: JobRef, stages: Mapping[str, StageTopics] = STAGES
) -> tuple[Topic, StageRequest]:
    """Return the request for the first step, and the topic for it, among `stages`."""
    steps = submission.steps
    request = StageRequest(
        event_id=request_event_id(job.job_id, job.epoch, steps[0].name),
        job=job,
        steps=steps,
        position=0,
        inputs=submission.inputs,
        options=submission.options,
        requested_at_ms=job.created_at_ms,
    )
    return stages[steps[0].kind].requests[submission.lane], request


def accepted(submission: Submission, job: JobRef) -> JobEvent:
    """Return the event that builds the job."""
    return JobEvent(
        event_id=event_id(job.job_id, job.epoch, JobEventKind.ACCEPTED),
        job=job,
        kind=JobEventKind.ACCEPTED,
        steps=submission.steps,
        at_ms=job.created_at_ms,
        inputs=submission.inputs,
    )
