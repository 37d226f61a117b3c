"""The probe's handler: the text it was given, after a sleep or a failure."""

import asyncio
import os
import signal

import orjson

from schemas.errors import Transient
from schemas.events import StageRequest
from schemas.topics import NOOP
from streams.runtime.processor import Context, Processor, Result, RetryPolicy

CHILD_S = 2.0
CHILD_MEMORY = 192 * 1024 * 1024
# A job of it may lose a second attempt to a kill and still has one.
_FLAKY_ATTEMPTS = 2


async def handle(request: StageRequest, context: Context) -> Result:
    """Return the inputs as they came."""
    if request.options != "{}":
        options = orjson.loads(request.options)
        if sleep_ms := options.get("sleep_ms", 0):
            await asyncio.sleep(sleep_ms / 1000)
        await _go_wrong(options.get("fault", "none"), context)
    return Result(outputs=request.inputs)


async def _go_wrong(fault: str, context: Context) -> None:
    match fault:
        case "flaky" if context.attempt < _FLAKY_ATTEMPTS:
            raise Transient("not yet", code="flaky")
        case "hang":
            await context.call("bench.probe.child:hang", timeout_s=CHILD_S)
        case "crash":
            await context.call("bench.probe.child:crash")
        case "memory":
            await context.call("bench.probe.child:eat", 2 * CHILD_MEMORY >> 20)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case _:
            return


def probe_processor(concurrency: int) -> Processor:
    """Return the processor that serves the no-op stage as the probe."""
    retry = RetryPolicy(attempts=3, backoff_s=0.2, backoff_limit_s=1.0)
    return Processor(
        NOOP, handle, retry=retry, concurrency=concurrency, child_timeout_s=10, child_memory_bytes=CHILD_MEMORY
    )
