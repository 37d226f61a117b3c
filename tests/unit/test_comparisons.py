"""Comparisons of replays: made once for all who ask, and no larger for more jobs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from schemas.errors import Outage
from schemas.replay_diff import Comparison, FieldChange, JobDiff
from schemas.replays import ReplayRequest, ReplayState
from streams.replay import comparisons
from streams.replay.comparisons import Comparisons

STATE = ReplayState("r", "s", "k", ReplayRequest("ocr.done", ("ocr.done",), "", 1, 2), "done", 1, 1)


def diffs(count: int) -> list[JobDiff]:
    return [
        JobDiff(
            f"j{n:05}", f"n{n:05}", [FieldChange(f"/{c}", "lost") for c in range(n % 7)], problem="x" * (n % 11 == 0)
        )
        for n in range(count)
    ]


def test_what_is_kept_does_not_grow_and_the_examples_are_those_of_all() -> None:
    comparison = Comparison("r", 5)
    for diff in diffs(5_000):
        comparison.add(diff)
        assert len(comparison._shown) <= 200
    document = comparison.document()
    first = sorted(diffs(5_000), key=lambda d: (not d.problem, -len(d.changes), d.job_id))[:5]
    assert [one["job_id"] for one in document["jobs"]] == [d.job_id for d in first]
    assert (document["jobs_left_out"], document["not_compared"]["x"]) == (4_995, 455)
    assert document["compared"] + 455 == 5_000


class Slow:
    """Comparing, as slow as the test lets it be."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, *_: object) -> AsyncIterator[JobDiff]:
        self.begun += 1
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        for diff in diffs(20):
            yield diff


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """What takes the place of reading the log."""
    made = Slow()
    monkeypatch.setattr(comparisons, "compared", made)
    return made


async def test_who_asks_again_waits_for_what_is_under_way_and_is_given_what_was_made(slow: Slow) -> None:
    """Each client whose patience ended began the reading of a month of results once more."""
    async with Comparisons("nowhere", cast("Any", None), ()) as made:
        assert await made.of(STATE, 5, 0) is None
        moved = replace(STATE, updated_at_ms=2)
        both = asyncio.gather(made.of(moved, 5, 20), made.of(moved, 5, 20))
        slow.go_on.set()
        first, second = await both
        assert first == second
        assert slow.begun == 1
        assert await made.of(STATE, 5, 20) == first
        assert slow.begun == 1
        await made.of(moved, 5, 20)
        assert slow.begun == 2, "its replay has moved on since"


async def test_a_comparison_that_failed_or_shows_what_was_purged_is_made_anew(slow: Slow) -> None:
    purged: set[str] = set()
    slow.go_on.set()
    async with Comparisons("nowhere", cast("Any", None), purged) as made:
        slow.error = Outage("the log is down")
        with pytest.raises(Outage):
            await made.of(STATE, 5, 20)
        slow.error = None
        document = await made.of(STATE, 5, 20)
        assert document is not None
        shown = next(one["job_id"] for one in document["jobs"] if "problem" not in one)
        assert await made.of(STATE, 5, 20) is document
        purged.add(shown)
        assert await made.of(STATE, 5, 20) is not document
