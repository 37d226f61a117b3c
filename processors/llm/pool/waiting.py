"""The attempts of one call that wait for their first token: one that can be told to stop, and a second beside it."""

import asyncio

from processors.llm.pool.answers import Answer


class Waiting:
    """An attempt that has no first token yet; it can be told to stop waiting."""

    def __init__(self) -> None:
        self.scope: asyncio.Timeout | None = None

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
        if task is None:
            return
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, Answer):
            result.close()


async def taken_over(task: "asyncio.Task[Answer]") -> Answer:
    """Wait for the second attempt, which is now the only one."""
    try:
        return await task
    except asyncio.CancelledError:
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, Answer):
            result.close()
        raise


def failed(task: "asyncio.Task[Answer]") -> bool:
    return task.cancelled() or task.exception() is not None
