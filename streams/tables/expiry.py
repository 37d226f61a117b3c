"""Removes jobs whose end is older than their time to live: a few looked at each turn, round and round."""

from collections.abc import Callable

from schemas.job_state import JobState
from schemas.retention import PURGED_SHOWN
from streams.tables.job_states import JobStates
from streams.tables.rounds import Rounds

Ttl = Callable[[str], int]
"""Seconds that a service's jobs are shown after their end."""

_LOOKED_AT = 200  # a turn, so a table of a million jobs is gone through in 1.5 hours at a turn a second
_PURGED_MS = int(PURGED_SHOWN.total_seconds() * 1000)


def expired(state: JobState, ttl_ms: int, now_ms: int) -> bool:
    """Tell whether a job ended, in all its submissions, longer than `ttl_ms` ago. Live jobs never expire.

    That a job was purged is told for a time of its own.
    """
    if state.purged_at_ms:
        return purged_until_ms(state) <= now_ms
    return all(s.terminal is not None and s.terminal.finished_at_ms + ttl_ms <= now_ms for s in state.submissions)


def purged_until_ms(state: JobState) -> int:
    """Return up to when it is told that a job was purged."""
    return state.purged_at_ms + _PURGED_MS


class Expiry:
    """Finds expired jobs a bit at a time, so that a large table costs no pause."""

    def __init__(self, states: JobStates, ttl_s: Ttl, now_ms: Callable[[], int]) -> None:
        self._states = states
        self._ttl_s = ttl_s
        self._now_ms = now_ms
        self._rounds = Rounds(states.everything, _LOOKED_AT)

    def due(self) -> list[tuple[int, bytes, str]]:
        """Return (partition, job id, service) of the expired among the next jobs."""
        now_ms = self._now_ms()
        found: list[tuple[int, bytes, str]] = []
        for partition, key in self._rounds.some():
            state = self._states.peek(key)
            if state is not None and self._over(state, now_ms):
                found.append((partition, key, state.current.job.service))
        return found

    def over(self, key: bytes) -> bool:
        """Tell whether a job is expired as it is now; one that is not there is not."""
        state = self._states.peek(key)
        return state is not None and self._over(state, self._now_ms())

    def _over(self, state: JobState, now_ms: int) -> bool:
        return expired(state, self._ttl_s(state.current.job.service) * 1000, now_ms)
