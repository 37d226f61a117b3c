"""How tests wait: for a condition, with a limit, and for nothing else."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")

WaitUntil = Callable[..., Awaitable[None]]
"""The fixture `wait_until`."""


async def eventually(condition: Callable[[], T | Awaitable[T]], timeout_s: float = 30.0) -> T:
    """Return what a condition returns, once that is true; fails the test when that takes longer than `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            value = await held if isawaitable(held) else held
            if value:
                return value
            await asyncio.sleep(0.01)


def until(condition: Callable[[], T], timeout_s: float = 60.0, *, every_s: float = 0.1, told: object = "") -> T:
    """Return what a condition returns, once that is true; fails the test with `told` (called, if it can be) if late."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, told() if callable(told) else told
        time.sleep(every_s)
    return value
