"""When to start a service again after it died. Pure: times are arguments, in seconds of any steady clock."""

from dataclasses import dataclass, replace

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
LASTING_S = 30.0
"""A process that lived this long counts as one that works: its next death starts with the first delay again."""

FAILED_AFTER = 5
FAILED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Deaths:
    """A service's quick deaths in a row; `times` holds the latest of them."""

    in_row: int = 0
    times: tuple[float, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether so many quick deaths came so close that the service counts as failed."""
        return len(self.times) >= FAILED_AFTER and self.times[-1] - self.times[-FAILED_AFTER] <= FAILED_WITHIN_S

    @property
    def delay_s(self) -> float:
        """How long to wait before the next start: 0.2, 0.4, 0.8 … 10; 10 once failed."""
        if self.failed:
            return LONGEST_DELAY_S
        return min(FIRST_DELAY_S * 2.0 ** max(self.in_row - 1, 0), LONGEST_DELAY_S)

    def died(self, now: float, lived_s: float) -> "Deaths":
        """Count a death at `now` of a process that had lived `lived_s`."""
        if lived_s >= LASTING_S:
            return Deaths(in_row=1)
        return replace(self, in_row=self.in_row + 1, times=(*self.times, now)[-FAILED_AFTER:])
