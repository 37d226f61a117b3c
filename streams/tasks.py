"""Ending tasks for certain."""

import asyncio
from typing import Any

# Longer than any clean-up of ours takes, which must not be broken off.
_AGAIN_S = 20.0


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
