"""What can go wrong between the gateway and a model server, below schemas.errors.

GatewayError
├── Transient
│   ├── UpstreamFailed          this upstream did not serve the call; another one may
│   │   ├── UpstreamBusy        it said so itself (429, 503): no sign that it is broken
│   │   ├── AnswerBroken        it failed after its first token: what was sent stands, no retry
│   │   └── CallFailed          every attempt failed, on servers that answer other calls: it is the call (502)
│   ├── QueueFull               too many calls wait already (429)
│   ├── WaitedTooLong           no slot came free in time (503)
│   └── Outage
│       └── NoUpstream          no upstream of the model is up (503)
└── Permanent
    ├── CallRefused             an upstream says that the call itself is wrong (its 4xx)
    └── InvalidInput
        ├── UnknownModel        404, with the names there are
        └── ModelNotAllowed     403

Messages name upstream, status and what to do; never a key, a prompt or an answer's text. The one exception
is `CallRefused.told`, the upstream's own words, which are for the caller alone and never logged.
"""

from schemas.errors import InvalidInput, Outage, Permanent, Transient


class UpstreamFailed(Transient):
    """An upstream did not answer, or not with an answer. `lost_connection`: it closed before it said anything."""

    default_code = "upstream_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        remedy: str = "",
        lost_connection: bool = False,
        status: int = 0,
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.lost_connection = lost_connection
        self.status = status


class UpstreamBusy(UpstreamFailed):
    """An upstream is full, or limits our rate; `retry_after_s` is its own word, 0 when it gave none."""

    default_code = "upstream_busy"

    def __init__(self, message: str, *, code: str | None = None, remedy: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.retry_after_s = retry_after_s


class AnswerBroken(UpstreamFailed):
    """An answer began and did not end as the protocol says."""

    default_code = "answer_broken"


class CallFailed(UpstreamFailed):
    """Every attempt at a call failed, though a server that failed it answers others meanwhile: no outage."""

    default_code = "call_failed"


class QueueFull(Transient):
    """The queue in front of the upstreams is at its bound."""

    default_code = "queue_full"

    def __init__(self, message: str, *, code: str | None = None, remedy: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.retry_after_s = retry_after_s


class WaitedTooLong(Transient):
    """A call waited for a slot as long as it may."""

    default_code = "queue_timeout"

    def __init__(self, message: str, *, code: str | None = None, remedy: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.retry_after_s = retry_after_s


class NoUpstream(Outage):
    """Every upstream of a model is down or has just failed this call."""

    default_code = "no_upstream"

    def __init__(self, message: str, *, code: str | None = None, remedy: str = "", retry_after_s: float = 5.0) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.retry_after_s = retry_after_s


class CallRefused(Permanent):
    """The upstream says that the call is wrong; `status` and `told` are its own, for the caller only."""

    default_code = "call_refused"

    def __init__(
        self, message: str, *, code: str | None = None, remedy: str = "", status: int = 400, told: str = ""
    ) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.status = status
        self.told = told


class UnknownModel(InvalidInput):
    """No public model has this name."""

    default_code = "unknown_model"


class ModelNotAllowed(InvalidInput):
    """The model exists, but not for this service."""

    default_code = "model_not_allowed"
