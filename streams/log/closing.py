"""Closes a Kafka client without letting its troubles reach whoever closes it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from streams.logs import get_logger

log = get_logger(__name__)


async def close_client(closing: Coroutine[Any, Any, object], *, of: str, timeout_s: float = 5.0) -> None:
    """Run a client's `stop()` or `close()` to its end, or give it up after `timeout_s`; raises nothing of its own.

    In a task of its own: aiokafka cancels its fetches and awaits them, and while the broker is down
    one of them hands that cancellation on. It would end the closing task as if *that* were cancelled.
    """
    task = asyncio.create_task(closing)
    try:
        await asyncio.wait((task,), timeout=timeout_s)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        log.warning("client.not_closed", of=of, seconds=timeout_s)
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("client.not_closed", of=of, reason=type(error).__name__)
