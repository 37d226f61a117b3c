"""What metering does beside the ledger goes on, whatever one turn of it meets."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from schemas.codec import Codec
from streams.log.schema_reader import CodecDecoder
from streams.metering import __main__ as metering
from streams.metering import orphans
from streams.metering.orphans import HeldLedger, OrphanCloser


class Turns:
    """Something that fails in a way that nobody foresaw, and is then asked again."""

    def __init__(self) -> None:
        self.asked = 0
        self.again = asyncio.Event()

    def take(self) -> None:
        """Be asked."""
        self.asked += 1
        if self.asked == 1:
            raise AttributeError("nobody foresaw this")
        self.again.set()


async def asked_again(work: Any, turns: Turns) -> None:
    """Run until the second turn."""
    running = asyncio.create_task(work)
    async with asyncio.timeout(20):
        again = asyncio.create_task(turns.again.wait())
        await asyncio.wait((running, again), return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), running.exception()
        running.cancel()
        await asyncio.wait([running])


async def test_reservations_are_looked_at_again_after_a_turn_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()

    class Reconciler:
        async def turn(self, services: Iterable[str]) -> int:
            turns.take()
            return 0

    class Services:
        def all(self) -> tuple[()]:
            return ()

    monkeypatch.setattr(metering, "_RECONCILE_S", 0.01)
    parts: Any = (Reconciler(), Services())
    await asked_again(metering._reconcile(*parts), turns)


async def test_orphaned_calls_are_looked_for_again_when_the_client_fails_oddly(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka raises more than its own errors when a broker goes away in the middle of a call."""
    turns = Turns()

    class Consumer:
        def __init__(self, **_: object) -> None: ...

        async def start(self) -> None:
            turns.take()

        async def stop(self) -> None: ...

    monkeypatch.setattr(orphans, "AIOKafkaConsumer", Consumer)
    monkeypatch.setattr(orphans, "_AGAIN_S", 0.01)
    publisher: Any = None
    ledger = HeldLedger(dict, lambda _: None)
    closer = OrphanCloser("nowhere", CodecDecoder(Codec()), publisher, ledger, 600, publisher)
    await asked_again(closer.run(), turns)
