"""The records on the topics, as frozen values. Field order and types follow `schemas/avro/*.avsc`.

Times are milliseconds since 1970 (UTC), durations are seconds. Strings that name kinds, lanes and
states are plain `str`, so that a reader survives a value that a newer writer invented.
"""

from dataclasses import field
from enum import StrEnum

from schemas.payloads import BlobRef, Payload
from schemas.values import value


class Lane(StrEnum):
    """How urgent a job is, and through which door it came."""

    INTERACTIVE = "interactive"
    BULK = "bulk"
    REPLAY = "replay"


class JobEventKind(StrEnum):
    """What a `JobEvent` tells."""

    ACCEPTED = "accepted"
    STAGE_STARTED = "stage_started"
    PROGRESS = "progress"
    STAGE_DONE = "stage_done"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PURGED = "purged"


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PURGED = "purged"


TERMINAL = frozenset({JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED})


@value
class JobRef:
    """What every record about a job says of it. `epoch` rises with a dead letter's replay and with promote.

    `replay_of` is the id of the job that a replay repeats; empty for all others.
    """

    job_id: str
    service: str
    key_id: str
    module: str
    module_version: str
    lane: str
    created_at_ms: int
    input_digest: str
    epoch: int = 0
    replay_of: str = ""


@value
class Step:
    """One entry of the routing slip: `name` is unique within the job, `kind` chooses the processor."""

    name: str
    kind: str
    config: str = ""


@value
class Usage:
    """What a piece of work used."""

    pages: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    audio_seconds: float = 0.0
    work_seconds: float = 0.0
    bytes_in: int = 0
    estimated: bool = False


@value
class ErrorInfo:
    """Why a job failed: stable `code`, text for people, the step that failed and what to do."""

    code: str
    message: str
    stage: str = ""
    remedy: str = ""


@value
class StageRequest:
    """Asks one processor for `steps[position]`."""

    event_id: str
    job: JobRef
    steps: tuple[Step, ...]
    position: int
    inputs: tuple[Payload, ...]
    options: str = "{}"
    usage: Usage = field(default_factory=Usage)
    requested_at_ms: int = 0

    @property
    def step(self) -> Step:
        """The step that is asked for."""
        return self.steps[self.position]


@value
class StageOutcome:
    """What one attempt at one step gave; carries the slip, so that a replay can start from here."""

    event_id: str
    job: JobRef
    steps: tuple[Step, ...]
    position: int
    attempt: int
    outputs: tuple[Payload, ...]
    options: str = "{}"
    artifacts: dict[str, BlobRef] = field(default_factory=dict[str, BlobRef])
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    upstream: str = ""
    started_at_ms: int = 0
    finished_at_ms: int = 0


@value
class JobResult:
    """A job's terminal record; `step`, `attempt`, `step_usage` and the times are those of the step that ended it."""

    event_id: str
    job: JobRef
    status: str
    steps: tuple[Step, ...]
    result: Payload | None = None
    error: ErrorInfo | None = None
    usage: Usage = field(default_factory=Usage)
    step: str = ""
    attempt: int = 0
    step_usage: Usage = field(default_factory=Usage)
    artifacts: dict[str, BlobRef] = field(default_factory=dict[str, BlobRef])
    started_at_ms: int = 0
    finished_at_ms: int = 0


@value
class Progress:
    """How far an attempt is, in the step's own unit (pages, seconds)."""

    attempt: int
    done: int
    total: int
    unit: str


@value
class JobEvent:
    """One change of a job. Each event carries enough to build the job from it alone."""

    event_id: str
    job: JobRef
    kind: str
    steps: tuple[Step, ...]
    at_ms: int
    step: str = ""
    attempt: int = 0
    started_at_ms: int = 0
    inputs: tuple[Payload, ...] = ()
    progress: Progress | None = None
    usage: Usage | None = None
    artifacts: dict[str, BlobRef] = field(default_factory=dict[str, BlobRef])
    error: ErrorInfo | None = None


@value
class UsageEvent:
    """What one attempt at one step used.

    `waste` marks attempts that are not charged, `final` the one that ended its request. `digest` (the first 16
    digits of the input's) and `created_at_ms` tell of which submission of a job it is; `started_at_ms`, when the
    attempt began, tells it from one that bore the same number before it. Calls have none of the three.
    """

    event_id: str
    request_id: str
    service: str
    key_id: str
    module: str
    step: str
    attempt: int
    model: str
    upstream: str
    lane: str
    outcome: str
    usage: Usage
    measured_at_ms: int
    waste: bool = False
    epoch: int = 0
    final: bool = False
    digest: str = ""
    created_at_ms: int = 0
    started_at_ms: int = 0


@value
class ChatRequest:
    """An interactive call to a model, written before its first token leaves.

    `content` is the caller's body as it came; None where only its digest and counts are kept.
    """

    event_id: str
    request_id: str
    service: str
    key_id: str
    dialect: str
    task: str
    model: str
    stream: bool
    content_sha256: str
    content_bytes: int
    messages: int
    requested_at_ms: int
    content: Payload | None = None


@value
class JobControl:
    """An order about a job, up to this epoch, to every processor; `action` is `cancel`."""

    event_id: str
    job_id: str
    service: str
    action: str
    at_ms: int
    epoch: int = 0


@value
class ApiKey:
    """An API key without its secret: only the SHA-256 of the secret (lower-case hex) is kept."""

    key_id: str
    service: str
    secret_sha256: str
    scopes: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None


@value
class SchemaRecord:
    """A writer's schema: `fingerprint` is its CRC-64-AVRO in hex, `schema` its JSON."""

    fingerprint: str
    name: str
    schema: str
