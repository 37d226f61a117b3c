"""Checkpoints in memory and in a store behave alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processors.stt.checkpoints import decode, encode, work_mark
from streams.storage.checkpoints import (
    LIFE,
    CheckpointKey,
    Checkpoints,
    MemoryCheckpoints,
    checkpoint_key,
    open_checkpoints,
)
from tests.unit.stt.builders import request, said, window

KEY = CheckpointKey("team-a", "job-1", 0, "stt", "mark", 3)


@pytest.fixture(params=["memory", "folder"])
def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoints:
    """Each implementation."""
    return MemoryCheckpoints() if request.param == "memory" else open_checkpoints(f"file:{tmp_path / 'blobs'}")


async def test_what_was_saved_is_found_under_its_key_alone(checkpoints: Checkpoints) -> None:
    """Another window, epoch, job or service has another place."""
    assert await checkpoints.load(KEY) is None
    await checkpoints.save(KEY, b"one")
    await checkpoints.save(KEY, b"two")
    assert await checkpoints.load(KEY) == b"two"
    for other in (
        CheckpointKey("team-b", "job-1", 0, "stt", "mark", 3),
        CheckpointKey("team-a", "job-2", 0, "stt", "mark", 3),
        CheckpointKey("team-a", "job-1", 1, "stt", "mark", 3),
        CheckpointKey("team-a", "job-1", 0, "stt", "other", 3),
        CheckpointKey("team-a", "job-1", 0, "stt", "mark", 4),
    ):
        assert await checkpoints.load(other) is None


async def test_another_input_under_the_same_id_finds_nothing(checkpoints: Checkpoints) -> None:
    """Two submissions under one Idempotency-Key, while Redis is away: neither's text may come into the other's."""
    mine = request()
    other = replace(mine, job=replace(mine.job, input_digest="another"))
    await checkpoints.save(checkpoint_key(mine, "mark", 0), b"kept")
    assert await checkpoints.load(checkpoint_key(other, "mark", 0)) is None
    assert await checkpoints.load(checkpoint_key(mine, "mark", 0)) == b"kept"


async def test_a_request_that_is_over_leaves_nothing(checkpoints: Checkpoints) -> None:
    """Windows of every model that was tried; other epochs, steps and jobs keep theirs. Twice is no harm."""
    over = request()
    mine = [checkpoint_key(over, mark, window) for mark in ("mark", "other") for window in range(3)]
    others = [
        replace(mine[0], epoch=1),
        replace(mine[0], step="stt2"),
        replace(mine[0], job_id=over.job.job_id + "1"),
        replace(mine[0], service="team-b"),
    ]
    for key in (*mine, *others):
        await checkpoints.save(key, b"kept")
    await checkpoints.remove(over)
    await checkpoints.remove(over)
    assert [await checkpoints.load(key) for key in mine] == [None] * 6
    assert [await checkpoints.load(key) for key in others] == [b"kept"] * 4


async def test_a_job_that_is_purged_leaves_nothing(checkpoints: Checkpoints) -> None:
    """Of no step, epoch or input; other jobs and services keep theirs."""
    own = [KEY, replace(KEY, epoch=1), replace(KEY, step="llm"), replace(KEY, work="other"), replace(KEY, piece=0)]
    second = replace(KEY, job_id="job-2")
    others = [replace(KEY, job_id="job-11"), replace(KEY, service="team-a1"), replace(KEY, service="team-b")]
    for key in (*own, second, *others):
        await checkpoints.save(key, b"kept")
    assert await checkpoints.remove_jobs("team-a", {"job-1", "job-2", "job-none"}) == 6
    assert await checkpoints.remove_jobs("team-a", {"job-1", "job-2"}) == 0
    assert [await checkpoints.load(key) for key in (*own, second)] == [None] * 6
    assert [await checkpoints.load(key) for key in others] == [b"kept"] * 3


async def test_leftovers_go_by_age(checkpoints: Checkpoints) -> None:
    """Not before the last request that could want them is gone from the log."""
    assert await checkpoints.sweep(datetime.now(UTC) + LIFE * 2) == 0
    await checkpoints.save(KEY, b"kept")
    assert await checkpoints.sweep(datetime.now(UTC) + LIFE - timedelta(minutes=1)) == 0
    assert await checkpoints.load(KEY) == b"kept"
    assert await checkpoints.sweep(datetime.now(UTC) + LIFE + timedelta(minutes=1)) == 1
    assert await checkpoints.load(KEY) is None


async def test_no_empty_folders_stay(tmp_path: Path) -> None:
    """A folder a job would be as many files in the end."""
    stored = open_checkpoints(f"file:{tmp_path / 'blobs'}")
    (tmp_path / "blobs" / "another").mkdir()
    await stored.save(checkpoint_key(request(), "mark", 0), b"kept")
    await stored.remove(request())
    assert [path.name for path in (tmp_path / "blobs").rglob("*")] == ["another"]


async def test_another_process_finds_it(tmp_path: Path) -> None:
    """The key is all that is needed: a function of the request and the window."""
    url = f"file:{tmp_path / 'blobs'}"
    await open_checkpoints(url).save(checkpoint_key(request(), "mark", 0), b"kept")
    assert await open_checkpoints(url).load(checkpoint_key(request(), "mark", 0)) == b"kept"


@pytest.mark.parametrize("part", ["../x", "", "a/b", ".hidden"])
def test_a_place_cannot_lead_elsewhere(part: str) -> None:
    """Places are made of what is in records."""
    with pytest.raises(ValueError, match="place"):
        _ = CheckpointKey("team-a", part, 0, "stt", "mark", 0).path


def test_a_window_survives_the_round() -> None:
    """Words included."""
    done = window(2, 10.0, 20.0, said(" 네", 11.0, 12.5), said(" 다음", 13.0, 14.0), last=True)
    assert decode(encode(done)) == done


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"segments":[{"no":1}]}', b'{"segments":[],"new_field":1}'])
def test_what_another_version_wrote_is_no_window(content: bytes) -> None:
    """It is done again."""
    with pytest.raises(ValueError, match="no finished window"):
        decode(content)


def test_the_mark_changes_with_anything_that_matters() -> None:
    """Another model does not build on the windows of the one before."""
    assert work_mark("tiny", 1) == work_mark("tiny", 1)
    assert work_mark("tiny", 1) != work_mark("tiny", 2)
