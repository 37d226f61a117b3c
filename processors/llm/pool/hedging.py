"""When a call that waits for its first token is sent to a second upstream as well. Pure; time is an argument.

A hung runner looks like a slow one: no headers, and the server around it answers. So after clearly more time
than such calls took lately a second upstream is asked, and the first token wins. A budget keeps a slow day from
doubling the load.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """`share` of the calls may be sent twice, `burst` of them at once; never earlier than `least_s`,
    and not before `cold_s` where the first upstream has to load the model."""

    least_s: float = 2.0
    cold_s: float = 20.0
    factor: float = 2.0
    share: float = 0.1
    burst: float = 16.0


class Hedging:
    """Remembers how long first tokens take, and how many second calls the budget has left."""

    def __init__(self, policy: HedgePolicy | None = None) -> None:
        self._policy = policy or HedgePolicy()
        self._slowest: dict[tuple[str, bool], float] = {}
        self._budget = self._policy.burst

    def note(self, model: str, stream: bool, first_token_s: float) -> None:
        """Note a call's time to its first token (of the whole answer, when not streamed)."""
        key = (model, stream)
        before = self._slowest.get(key, 0.0)
        # The slowest of late: it rises at once and falls over some twenty calls.
        self._slowest[key] = first_token_s if first_token_s > before else before + 0.05 * (first_token_s - before)
        self._budget = min(self._budget + self._policy.share, self._policy.burst)

    def delay_s(self, model: str, stream: bool) -> float:
        """Return after how long without a first token a second upstream is asked."""
        return max(self._policy.least_s, self._policy.factor * self._slowest.get((model, stream), 0.0))

    def cold_s(self) -> float:
        """Return after how long a second upstream is asked when the first one loads the model."""
        return self._policy.cold_s

    def take(self) -> bool:
        """Take one second call from the budget; False when it is used up."""
        if self._budget < 1:
            return False
        self._budget -= 1
        return True
