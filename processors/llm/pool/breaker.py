"""A circuit breaker as a value: real calls open it, time lets one call try again. Pure; time is an argument.

closed ──(failures in a row)──> open ──(cool-down is over)──> half open: one call is let through
  ^                              ^                                │
  └────────── it succeeds ───────┼────────────────────────────────┤
                                 └── it fails: a longer cool-down ┘
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open and for how long. Cool-downs in seconds; each failed trial doubles it, up to the limit."""

    failures: int = 3
    cool_down_s: float = 2.0
    cool_down_limit_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Where an upstream's breaker stands. `opened_at` and `trial_at` in seconds of a monotonic clock; None: not so."""

    failures: int = 0
    opened_at: float | None = None
    cool_down_s: float = 0.0
    trial_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it is open or half open."""
        return self.opened_at is not None


CLOSED = Breaker()


def allows(breaker: Breaker, now: float) -> bool:
    """Tell whether a call may go through: always when closed, and one at a time after the cool-down."""
    if breaker.opened_at is None:
        return True
    if now < breaker.opened_at + breaker.cool_down_s:
        return False
    # A trial that never reported (its process was stopped) blocks no longer than a cool-down.
    return breaker.trial_at is None or now >= breaker.trial_at + breaker.cool_down_s


def began(breaker: Breaker, now: float) -> Breaker:
    """Note that a call goes through."""
    return breaker if breaker.opened_at is None else replace(breaker, trial_at=now)


def succeeded(breaker: Breaker) -> Breaker:
    """Note that a call got an answer: the upstream works."""
    return CLOSED if breaker.failures or breaker.opened_at is not None else breaker


def failed(breaker: Breaker, now: float, policy: BreakerPolicy) -> Breaker:
    """Note that a call failed through the upstream's fault."""
    if breaker.opened_at is not None:
        if breaker.trial_at is None:
            return breaker  # a call from before it opened; it says nothing new
        longer = min(breaker.cool_down_s * 2, policy.cool_down_limit_s)
        return Breaker(breaker.failures + 1, now, longer)
    failures = breaker.failures + 1
    if failures < policy.failures:
        return replace(breaker, failures=failures)
    return Breaker(failures, now, policy.cool_down_s)


def gave_up(breaker: Breaker) -> Breaker:
    """Note that a trial ended without telling anything (its caller left): the next call may try."""
    return breaker if breaker.trial_at is None else replace(breaker, trial_at=None)


def retry_at(breaker: Breaker) -> float | None:
    """Return when the next call may go through; None when it may already."""
    return None if breaker.opened_at is None else breaker.opened_at + breaker.cool_down_s
