"""The attempts of one call that wait for their first token: one that can be told to stop, and a second beside it."""

import asyncio

from processors.llm.pool.answers import Answer
from processors.llm.pool.run import Run


class Waiting:
    """An attempt that has no first token yet; it can be told to stop waiting.

    `overdue`: it waits longer than such calls do. `is_trial`: it is to show whether the upstream is back.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.scope: asyncio.Timeout | None = None
        self.overdue = self.is_trial = False

    def stop(self) -> None:
        """Let the attempt fail now, if it still waits."""
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(asyncio.get_running_loop().time())


class Second:
    """The second attempt of a call, if there is one."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Answer] | None = None

    async def drop(self) -> None:
        """End it: the first attempt won, or the caller left."""
        task, self.task = self.task, None
        if task is not None:
            await _end(task)


async def taken_over(task: asyncio.Task[Answer]) -> Answer:
    """Wait for the second attempt, which is now the only one."""
    try:
        return await task
    except asyncio.CancelledError:
        await _end(task)
        raise


def failed(task: asyncio.Task[Answer]) -> bool:
    """Tell whether an attempt that is over brought no answer."""
    return task.cancelled() or task.exception() is not None


async def _end(task: asyncio.Task[Answer]) -> None:
    """End an attempt that nobody wants; an answer that it has all the same is closed even if this is cancelled."""
    task.cancel()
    task.add_done_callback(_close_answer)
    await asyncio.wait([task])


def _close_answer(task: asyncio.Task[Answer]) -> None:
    if not failed(task):
        task.result().drop()
