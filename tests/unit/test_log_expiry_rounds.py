"""A large table is looked through some jobs at a time, and all of them in their turn."""

import pytest

from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind
from schemas.job_state import JobState, fold
from streams.log.memory import MemoryLog, MemoryPublisher
from streams.tables import log_expiry
from streams.tables.job_states import JobStates
from streams.tables.log_expiry import LogExpiry
from tests.builders import now_ms, own_stage, stage_request


class Looked(JobStates):
    """States that remember who was looked at."""

    def __init__(self) -> None:
        super().__init__({}, Codec())
        self.at: list[bytes] = []

    def peek(self, key: bytes) -> JobState | None:
        """Note the key."""
        self.at.append(key)
        return super().peek(key)


async def test_each_look_takes_the_next_jobs_and_the_last_is_followed_by_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_expiry, "_LOOKED_AT", 2)
    states, stage = Looked(), own_stage()
    for _ in range(5):
        request = stage_request(stage.kind)
        accepted = JobEvent("e", request.job, JobEventKind.ACCEPTED, request.steps, now_ms())
        states.put(0, request.job.job_id.encode(), fold(None, accepted, 0))
    every = list(states.keys(0))
    # No stage is known here, so none of them waits and no broker is asked.
    expiry = LogExpiry("nowhere:9", states, MemoryPublisher(MemoryLog()), dict, now_ms)
    for expected in (every[:2], every[2:4], every[4:], every[:2]):
        states.at.clear()
        assert await expiry.look() == 0
        assert states.at == expected
