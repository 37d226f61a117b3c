"""Removes jobs whose end is older than their time to live: a few looked at each turn, round and round."""

from collections.abc import Callable, Iterator
from itertools import islice

from schemas.job_state import JobState
from streams.tables.job_states import JobStates

_LOOKED_AT = 200  # a turn, so a table of a million jobs is gone through in 1.5 hours at a turn a second


def expired(state: JobState, ttl_ms: int, now_ms: int) -> bool:
    """Tell whether a job ended, in all its submissions, longer than `ttl_ms` ago. Live jobs never expire."""
    return all(s.terminal is not None and s.terminal.finished_at_ms + ttl_ms <= now_ms for s in state.submissions)


class Expiry:
    """Finds expired jobs a bit at a time, so that a large table costs no pause."""

    def __init__(self, states: JobStates, ttl_s: int, now_ms: Callable[[], int]) -> None:
        self._states = states
        self._ttl_ms = ttl_s * 1000
        self._now_ms = now_ms
        self._round: Iterator[tuple[int, bytes]] = iter(())

    def due(self) -> list[tuple[int, bytes, str]]:
        """Return (partition, job id, service) of the expired among the next jobs."""
        now_ms = self._now_ms()
        looked = list(islice(self._round, _LOOKED_AT))
        if not looked:
            self._round = self._states.everything()
        found: list[tuple[int, bytes, str]] = []
        for partition, key in looked:
            state = self._states.peek(key)
            if state is not None and expired(state, self._ttl_ms, now_ms):
                found.append((partition, key, state.current.job.service))
        return found
