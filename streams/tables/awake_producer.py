"""A producer that sends nothing of what waited in it while the process stood still.

A changelog is fenced where it is handed to the producer, not where it leaves. What waits there behind a request
when the process is stopped would be sent when it goes on, behind what the partition's next owner has written.
"""

import asyncio
import time
from collections.abc import Callable

from aiokafka.producer.message_accumulator import BatchBuilder

from streams.log.light_producer import LightBatch, LightProducer

_LOOK_S = 0.5


class Standstill:
    """Notices when the process, or its machine, stood still for `limit_s` seconds or more."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._clock = limit_s, clock
        self._looked_at = clock()
        self._ended_at = float("-inf")

    def look(self) -> float:
        """Take note that the process runs; return the time."""
        now = self._clock()
        if now - self._looked_at >= self._limit_s:
            self._ended_at = now
        self._looked_at = now
        return now

    def was_since(self, at: float) -> bool:
        """Tell whether it stood still after a time that `look` returned."""
        self.look()
        return self._ended_at > at

    async def watch(self) -> None:
        """Look all the time, until cancelled: a loop with nothing to do would be taken for one that stood still."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)


class AwakeProducer(LightProducer):
    """Fails for good, with all that waits in it, rather than send what is from before a standstill."""

    standstill: Standstill

    def new_batch(self, **settings: int) -> BatchBuilder:
        """Return an empty batch."""
        return _AwakeBatch(self.standstill, **settings)


class _AwakeBatch(LightBatch):
    def __init__(self, standstill: Standstill, **settings: int) -> None:
        super().__init__(**settings)
        self._standstill, self._made_at = standstill, standstill.look()

    def _build(self) -> bytearray:
        # Asked for before each time that the batch is sent. What is raised here ends the sender.
        if self._standstill.was_since(self._made_at):
            raise RuntimeError("the process stood still, and what it had not sent may be another's by now")
        return super()._build()
