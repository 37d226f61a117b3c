"""What the pool is given and gives: how it shall behave, who asks, who watches, and how an upstream stands."""

from dataclasses import dataclass, field
from typing import Protocol

from processors.llm.pool.breaker import BreakerPolicy
from processors.llm.pool.hedging import HedgePolicy
from processors.llm.pool.slots import QueuePolicy


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """How the pool behaves. Durations in seconds.

    `first_token_s` bounds the wait for an answer's begin, `whole_s` that for all of one that is not streamed.
    `busy_patience_s`: how long a call is kept when all upstreams say that they are busy; `outage_patience_s`: how
    long after the last one went down (a restart, a pause of the machine); later calls are refused at once.
    """

    attempts: int = 4
    first_token_s: float = 300.0
    whole_s: float = 3600.0
    busy_patience_s: float = 10.0
    outage_patience_s: float = 3.0
    queue: QueuePolicy = field(default_factory=QueuePolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    hedge: HedgePolicy = field(default_factory=HedgePolicy)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `request_id` travels to the upstream, so that its log and ours meet.

    `models` are the public models that may serve the caller as fallbacks, None for all; whether it may have the
    model that it asks for is checked before it comes here.
    """

    service: str
    lane: str
    request_id: str = ""
    models: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """An upstream as `status`, `doctor` and metrics see it."""

    name: str
    usable: bool
    outstanding: int
    limit: int
    models: tuple[str, ...]


class Watch(Protocol):
    """Is told what happens, for metrics."""

    def waited(self, lane: str, seconds: float) -> None:
        """A call got its slot after `seconds`."""
        ...

    def attempted(self, upstream: str, outcome: str, seconds: float) -> None:
        """An attempt ended: `outcome` is `answered` or the error's code, after `seconds` to the first token."""
        ...


class Unwatched:
    """Watches nothing."""

    def waited(self, lane: str, seconds: float) -> None: ...

    def attempted(self, upstream: str, outcome: str, seconds: float) -> None: ...
