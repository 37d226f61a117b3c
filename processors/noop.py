"""The stage `noop`: gives its text back, after `sleep_ms` if asked to. It is there for measuring."""

import asyncio

import orjson

from schemas.errors import InvalidInput
from schemas.events import StageRequest
from schemas.topics import NOOP as NOOP_TOPICS
from streams.runtime.processor import Context, Processor, Result

_LONGEST_MS = 600_000


async def handle(request: StageRequest, _context: Context) -> Result:
    """Return the inputs as they came. Uses nothing."""
    if request.options != "{}":
        sleep_ms = orjson.loads(request.options).get("sleep_ms", 0)
        if not isinstance(sleep_ms, int | float) or not 0 <= sleep_ms <= _LONGEST_MS:
            raise InvalidInput(
                f"sleep_ms must be a number from 0 to {_LONGEST_MS}", code="invalid_option", remedy="correct the option"
            )
        if sleep_ms:
            await asyncio.sleep(sleep_ms / 1000)
    return Result(outputs=request.inputs)


NOOP = Processor(NOOP_TOPICS, handle, concurrency=256)
