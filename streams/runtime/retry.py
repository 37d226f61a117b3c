"""What follows a failed attempt. Pure: the error, the attempt's number, the policy and a chance decide."""

from dataclasses import dataclass

from schemas.errors import GatewayError, Outage, Permanent
from streams.runtime.processor import RetryPolicy

_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after a pause."""

    after_s: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Give the message up."""

    error: GatewayError


@dataclass(frozen=True, slots=True)
class WaitForRecovery:
    """A dependency is down: hold everything back until it answers; the attempt does not count."""

    error: Outage


Decision = Retry | DeadLetter | WaitForRecovery


def decide(error: GatewayError, attempt: int, policy: RetryPolicy, jitter: float) -> Decision:
    """Decide what follows when attempt number `attempt` (from 1) ended with `error`.

    `jitter` is a chance from 0 to 1. The pauses triple: with the default policy at most 0.5 s, 1.5 s,
    4.5 s, … up to the limit, each between half of that and all of it.
    """
    if isinstance(error, Outage):
        return WaitForRecovery(error)
    if isinstance(error, Permanent) or attempt >= policy.attempts:
        return DeadLetter(error)
    longest = min(policy.backoff_limit_s, policy.backoff_s * _FACTOR ** min(attempt - 1, 50))
    return Retry(longest * (0.5 + jitter / 2))


def probe_pause(failures: int) -> float:
    """Return the seconds to wait before a dependency that failed `failures` times in a row is tried again.

    1, 2, 4, 8, then 10 s: recovery is noticed within 10 s, and a struggling upstream is left in peace.
    """
    return min(10.0, 2.0 ** min(failures - 1, 10))
