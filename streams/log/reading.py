"""A consumer without a group for one question to the log."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.kafka_errors import translated

_START_S = 15.0


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
