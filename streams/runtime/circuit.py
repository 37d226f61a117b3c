"""Holds work back while a dependency is down, and lets one request through to find out when it is back."""

from streams.runtime.retry import probe_pause


class Circuit:
    """Closed: all may start. Open: nothing starts until the pause is over, then one probe at a time.

    Times are seconds of any one clock.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = 0.0
        self._probing = False
        self.reason = ""

    @property
    def is_open(self) -> bool:
        """Whether a dependency is held to be down."""
        return self._failures > 0

    def may_start(self, now: float) -> bool:
        """Tell whether a request may start; while open, a True makes the caller the probe."""
        if not self.is_open:
            return True
        if self._probing or now < self._probe_at:
            return False
        self._probing = True
        return True

    @property
    def probe_at(self) -> float:
        """When a probe may start."""
        return self._probe_at

    @property
    def is_probing(self) -> bool:
        """Whether a probe is under way."""
        return self._probing

    def failed(self, reason: str, now: float) -> None:
        """A request met an outage. Requests that were under way together count as one failure."""
        if self._probing or not self.is_open:
            self._failures += 1
            self._probe_at = now + probe_pause(self._failures)
        self._probing = False
        self.reason = reason

    def answered(self) -> None:
        """A request came through (whatever became of it): the dependency is back."""
        self._failures = 0
        self._probing = False
        self.reason = ""

    def undecided(self) -> None:
        """The probe ended without telling (cancelled); the next one may start at once."""
        self._probing = False
