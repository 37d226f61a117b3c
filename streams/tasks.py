"""Work in the background: told when it fails, and ended for certain."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from streams.logs import get_logger, places_of

log = get_logger(__name__)

T = TypeVar("T")

# Longer than any clean-up of ours takes, which must not be broken off.
_AGAIN_S = 20.0


def background(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Do work that goes on for as long as its owner, who ends it with `end_tasks`; its failure is logged at once.

    Nobody waits for such work, so a fault of ours in it would be known when the process ends, or never.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_failure)
    return task


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task.failed", task=task.get_name(), error=type(error).__name__, places=places_of(error))


async def end_tasks(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel tasks and wait until they have ended; what they raise is dropped.

    A task that goes on is cancelled again: libraries swallow a cancellation that comes together with a result.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported


async def gathered(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all at the same time and return their results in order; the first failure ends the others and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await end_tasks(*tasks)
