"""A task that is to end ends."""

import asyncio
from collections.abc import Callable

import pytest

from streams import tasks
from streams.tasks import background, end_tasks


async def test_tasks_are_cancelled_and_awaited() -> None:
    cleaned: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(name)

    running = [asyncio.create_task(work(name)) for name in "ab"]
    await asyncio.sleep(0)
    await end_tasks(*running)
    assert sorted(cleaned) == ["a", "b"]
    assert all(task.cancelled() for task in running)


async def test_a_swallowed_cancellation_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `asyncio.wait_for` of Python 3.11 does when the result and the cancellation come together."""
    monkeypatch.setattr(tasks, "_AGAIN_S", 0.01)
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await end_tasks(task)
    assert (swallowed, task.cancelled()) == (2, True)


async def test_what_a_task_raised_stays_its_own() -> None:
    async def fail() -> None:
        raise ValueError("its own")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await end_tasks(task)
    assert isinstance(task.exception(), ValueError)


class Told:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, dict[str, object]]] = []

    def error(self, event: str, **about: object) -> None:
        """Keep an error."""
        self.errors.append((event, about))


async def _fail() -> None:
    raise KeyError("what a document says")


async def test_work_in_the_background_that_fails_is_told_at_once_without_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for it: until the process ends nobody else would know."""
    told = Told()
    monkeypatch.setattr(tasks, "log", told)
    task = background(_fail(), "keeping")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    [(event, about)] = told.errors
    assert (event, about["task"], about["error"]) == ("task.failed", "keeping", "KeyError")
    assert "test_tasks.py:" in str(about["places"])
    assert "document" not in str(told.errors)
    await end_tasks(task)


@pytest.mark.parametrize("end", [asyncio.Event().wait, lambda: asyncio.sleep(0)])
async def test_work_in_the_background_that_ends_or_is_ended_is_not_told(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]
) -> None:
    told = Told()
    monkeypatch.setattr(tasks, "log", told)
    await end_tasks(background(end(), "keeping"))
    await asyncio.sleep(0)
    assert told.errors == []
