"""What a recording may cost: plain values that travel to the child processes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest recording that is taken, in seconds."""

    max_seconds: float = 10 * 3600.0
