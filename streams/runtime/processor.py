"""What the author of a processor writes against: a handler, its context and its registration."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import WorkFailed
from schemas.events import StageRequest, Usage
from schemas.payloads import BlobRef, Payload
from schemas.topics import StageTopics
from schemas.values import value
from streams.serving import Choice, Lack


@value
class Wasted:
    """What an attempt used beside its usage and is not charged for: a call to a model that was made twice, say."""

    usage: Usage
    model: str = ""
    upstream: str = ""


@value
class Result:
    """What a handler returns: the stage's output and what it used. The runtime does the rest.

    `kept` is what of the usage belongs to work that the next attempt finds done, where attempts keep it for one
    another: if this one fails, that is no waste.
    """

    outputs: tuple[Payload, ...]
    usage: Usage = field(default_factory=Usage)
    kept: Usage = field(default_factory=Usage)
    artifacts: dict[str, BlobRef] = field(default_factory=dict[str, BlobRef])
    model: str = ""
    upstream: str = ""
    wasted: tuple[Wasted, ...] = ()


class SpentWork(WorkFailed):
    """Work that failed for good after it used what counts: `spent` has its usage and what is kept of it."""

    def __init__(self, message: str, *, code: str, remedy: str = "", spent: Result) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.spent = spent


class Context(Protocol):
    """What a handler may use. Everything here may be done twice for one request."""

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        ...

    async def read(self, payload: Payload) -> bytes:
        """Return a payload's content, wherever it is."""
        ...

    def as_file(self, payload: Payload) -> AbstractAsyncContextManager[Path]:
        """Give a payload's content as a local file, for the duration of the context."""
        ...

    async def store(self, media_type: str, content: bytes, name: str = "") -> Payload:
        """Store content as a blob of the job's service and return it as a payload."""
        ...

    async def progress(self, done: int, total: int, unit: str) -> None:
        """Tell how far the work is; cheap, and only published when it matters.

        An attempt that gets on has its time anew: `attempt_timeout_s` counts from when `done` last grew.
        """
        ...

    def spent(self, so_far: Result) -> None:
        """Tell what this attempt has used by now, as a total: so it is metered when it is cancelled or fails.

        Work time that is not given is measured; outputs do not matter.
        """
        ...

    async def call(self, function: str, *args: Any, timeout_s: float | None = None, pool: str = "") -> Any:
        """Run `module:function` in a child process and return what it returns (both ways pickled).

        `pool` names one of the processor's own pools; without it the child is one of the common ones.
        Raises schemas.errors.Transient when the child crashed, hung or outgrew its memory limit,
        and whatever GatewayError the function raised.
        """
        ...


Handler = Callable[[StageRequest, Context], Awaitable[Result]]
Settle = Callable[[StageRequest], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a failed attempt is repeated. Durations in seconds."""

    attempts: int = 3
    backoff_s: float = 0.5
    backoff_limit_s: float = 30.0


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """Child processes apart from the common ones: how many, of which interpreter, with how much memory each."""

    python: Path
    size: int
    memory_bytes: int


def _nothing() -> Lack | None:
    return None


def _the_same(request: StageRequest) -> str:
    del request
    return ""


@dataclass(frozen=True, slots=True)
class Processor:
    """A stage kind and the one function that serves it.

    `concurrency` is how many requests are in work at a time; `child_timeout_s` and
    `child_memory_bytes` bound each call into a child process, `attempt_timeout_s` an attempt, or what it may take
    from one progress to the next where it tells of any.
    `pools` are children of other environments, by name. `lacks` tells why the stage cannot be served now, for
    callers to be told at the door, and `choice_lacks` the same of single options' values. `settle` is
    called when a request is over for good (done, failed or cancelled, and committed): what the attempts
    kept for one another may go. It may be left out by a crash, and what it raises is only logged.
    `depends_on` names what a request needs that others of the stage may not (a model): an outage that it
    meets holds back the requests of the same name. It must not raise.
    """

    topics: StageTopics
    handle: Handler
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    concurrency: int = 8
    child_timeout_s: float = 120.0
    child_memory_bytes: int = 1024 * 1024 * 1024
    attempt_timeout_s: float = 1800.0
    lacks: Callable[[], Lack | None] = _nothing
    settle: Settle | None = None
    depends_on: Callable[[StageRequest], str] = _the_same
    pools: Mapping[str, PoolSpec] = field(default_factory=dict[str, PoolSpec])
    choice_lacks: Mapping[Choice, Callable[[], Lack | None]] = field(
        default_factory=dict[Choice, Callable[[], Lack | None]]
    )
