"""The batch door's records: what a service asks for through Kafka, and what it is answered.

`batch.<service>` carries `BatchRequest`, `batch.<service>.results` `BatchAnswer` and `batch.<service>.rejected`
`BatchRejection`. `BatchEntry` stands on the gateway's own topic between the doors and the jobs, `BatchNotes` beside it.
"""

from dataclasses import dataclass, field

from schemas.events import ErrorInfo, JobRef, Step, Usage
from schemas.payloads import Payload

MOST_INLINE_BYTES = 512 * 1024
"""Of `content` and of `text`, each; what is larger is uploaded first and sent as a blob."""

MOST_OPTIONS_BYTES = 512 * 1024
"""Of `options` with the module's defaults: what is made of a request stays below the broker's limit for a record."""

MOST_ID_CHARACTERS = 255
MOST_BLOBS = 1_000
MOST_REPLY_HEADERS = 16
MOST_REPLY_HEADER_BYTES = 4 * 1024


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request: `request_id` is the client's own, unique within its service; a repeat is the same job.

    Exactly one of `text`, `content` and `blobs` is given: a text, a file's bytes (`name` is its name), or
    the ids of uploaded files (the pages of one document). `options` is a JSON object. `reply_headers` come
    back as headers of the answer.
    """

    request_id: str
    module: str
    text: str | None = None
    content: bytes | None = None
    name: str = ""
    blobs: tuple[str, ...] = ()
    options: str = "{}"
    reply_headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """How the job of a request ended, once for each request.

    `status` is `done`, `failed` or `cancelled`. A large `result` is a blob: `GET /v1/jobs/{job_id}` shows it.
    """

    request_id: str
    job_id: str
    module: str
    status: str
    result: Payload | None = None
    error: ErrorInfo | None = None
    usage: Usage = field(default_factory=Usage)
    created_at_ms: int = 0
    finished_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class BatchRejection:
    """Why a record made no job. `partition` and `offset` are its place in the door.

    `request_id` is empty where none could be read; `job_id` is the job that had this request id first, if any.
    """

    request_id: str
    code: str
    message: str
    remedy: str
    partition: int
    offset: int
    job_id: str = ""
    rejected_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """A record of a door, checked: a job to be started or, with `refusal`, a rejection to be given.

    `door_partition` and `door_offset` tell a record that was checked twice from a request that was sent twice.
    """

    job: JobRef
    request_id: str
    door_partition: int
    door_offset: int
    steps: tuple[Step, ...] = ()
    inputs: tuple[Payload, ...] = ()
    options: str = "{}"
    reply_headers: dict[str, str] = field(default_factory=dict[str, str])
    refusal: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class BatchNote:
    """A request that is settled: its job was answered or, `refused`, this record of the door was rejected.

    `digest` begins the input's; it is empty where the entry had left the log before the answer was given.
    """

    job_id: str
    digest: bytes
    door_partition: int
    door_offset: int
    refused: bool


@dataclass(frozen=True, slots=True)
class BatchNotes:
    """What one partition's worker settled at one time; whoever takes the partition over reads these, not the entries.

    Every entry below the offset `open_from` was settled by then.
    """

    open_from: int
    at_ms: int
    notes: tuple[BatchNote, ...]
