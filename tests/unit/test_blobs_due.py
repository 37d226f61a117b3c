"""From when on the collector takes a service's blobs: by its lifetime, and by what still waits."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import pytest

from schemas.retention import blob_lifetime, longest_reference
from schemas.services import ServiceSettings
from streams.storage import collecting
from streams.storage.collecting import due_times

DAY_MS = 86_400_000
NOW_MS = 500 * DAY_MS
JOB_TTL = timedelta(days=30)
LONGEST_MS = int(longest_reference(JOB_TTL).total_seconds() * 1000)
AHEAD_MS = 2**62


async def due(
    monkeypatch: pytest.MonkeyPatch, days: int | None, waiting: Mapping[str, int], open_ms: int | None = AHEAD_MS
) -> int:
    """Return when a blob of the service `s` must have been touched, whose oldest open job was made at `open_ms`."""

    async def oldest_open_ms(_redis: Any, _service: str) -> int | None:
        return open_ms

    monkeypatch.setattr(collecting, "oldest_open_ms", oldest_open_ms)
    settings = ServiceSettings("s", retention_days=days)
    return (await due_times(cast("Any", None), [settings], JOB_TTL, waiting, NOW_MS))("s")


async def test_what_waits_for_nothing_goes_by_the_service_s_lifetime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await due(monkeypatch, 7, {}) == NOW_MS - 7 * DAY_MS
    assert await due(monkeypatch, None, {}) == NOW_MS - LONGEST_MS
    assert await due(monkeypatch, 7, {"other": 0}) == NOW_MS - 7 * DAY_MS


async def test_an_open_job_keeps_what_was_touched_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made_ms = NOW_MS - 20 * DAY_MS
    assert await due(monkeypatch, 7, {}, made_ms) == made_ms - DAY_MS
    assert await due(monkeypatch, 7, {}, None) == NOW_MS - LONGEST_MS, "the views cannot tell"


@pytest.mark.parametrize("days", [1, 7, None, 400])
@pytest.mark.parametrize("open_ms", [AHEAD_MS, NOW_MS - 20 * DAY_MS, None])
async def test_a_request_that_waits_keeps_a_file_that_was_as_old_as_files_get_when_it_came(
    monkeypatch: pytest.MonkeyPatch, days: int | None, open_ms: int | None
) -> None:
    """Its files are touched when it is checked, not when it is put at the door."""
    came_ms = NOW_MS - 34 * DAY_MS
    lifetime = blob_lifetime(ServiceSettings("s", retention_days=days), JOB_TTL)
    touched_ms = came_ms - int(lifetime.total_seconds() * 1000)
    assert await due(monkeypatch, days, {"s": came_ms}, open_ms) <= touched_ms
