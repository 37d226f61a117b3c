"""A consumer without a group for one question to the log, and how long it waits for what is there."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from schemas.errors import Outage
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.kafka_errors import KAFKA_DOWN, translated

_START_S = 15.0
_SILENT_S = 30.0


class Silence:
    """Tells when records that are there do not come: aiokafka may stall for good after a broker's restart."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._since: float | None = None

    def note(self, fetched: object) -> None:
        """Take note of what a poll brought. Raises schemas.errors.Outage after half a minute of nothing."""
        if fetched:
            self._since = None
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since > _SILENT_S:
            raise Outage(f"{self._doing}: records are there, none came", code=KAFKA_DOWN, remedy="try again")


@asynccontextmanager
async def open_reader(bootstrap: str, doing: str, *topics: str, **options: Any) -> AsyncGenerator[AIOKafkaConsumer]:
    """Run a consumer for the duration of the context; `topics` are assigned as a whole. It is closed whatever comes.

    Raises schemas.errors.Outage when it does not start; what goes wrong later is the caller's to translate.
    """
    usual: dict[str, Any] = {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
    consumer = AIOKafkaConsumer(*topics, **client_options(bootstrap), **usual, **options)
    try:
        with translated(doing):
            async with asyncio.timeout(_START_S):
                await consumer.start()
        yield consumer
    finally:
        await close_client(consumer.stop(), of=doing)
