"""The exceptions that the gateway raises, and what each means for a retry.

GatewayError
├── Transient                 try again: the same call may succeed
│   └── Outage                a dependency is down: wait for it, burn no attempt
└── Permanent                 trying again is useless
    ├── InvalidInput          the caller sent something that cannot be processed
    ├── UndecodableRecord     bytes on a topic that no known schema reads
    └── WorkFailed            the work itself failed (crash, hang, memory) more often than allowed

A class answers one question (retry, wait or give up); `code` is the stable name that callers see.
"""


class GatewayError(Exception):
    """Something went wrong that has a stable `code`, a `message` for people and a `remedy`."""

    default_code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, and errors cross process borders.
        return _rebuild, (type(self), self.message, self.code, self.remedy)


def _rebuild(kind: type[GatewayError], message: str, code: str, remedy: str) -> GatewayError:
    return kind(message, code=code, remedy=remedy)


class Transient(GatewayError):
    """May succeed when tried again after a pause."""

    default_code = "temporary_failure"


class Outage(Transient):
    """A dependency (Kafka, Redis, blob store, upstream) is down; waiting costs no attempt."""

    default_code = "dependency_down"


class Permanent(GatewayError):
    """Will fail again in the same way."""

    default_code = "failed"


class InvalidInput(Permanent):
    """The input cannot be processed; `code` says what is wrong with it."""

    default_code = "invalid_input"


class UndecodableRecord(Permanent):
    """A record's bytes are no single-object Avro encoding of a schema that is known."""

    default_code = "undecodable_record"


class WorkFailed(Permanent):
    """The work crashed, hung or grew beyond its limits."""

    default_code = "work_failed"
