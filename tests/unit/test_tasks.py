"""A task that is to end ends."""

import asyncio

import pytest

from streams import tasks
from streams.tasks import end_tasks


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
