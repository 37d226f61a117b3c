"""Batches of a table's stream: an end goes at once, and takes along what came before it."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from streams.tables.arrivals import Arrivals

FOREVER_S = 3600.0


class Stream:
    """A stream that is fed record by record."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    async def events(self) -> AsyncIterator[Any]:
        while (event := await self.queue.get()) is not None:
            yield event

    def put(self, *topics: str) -> None:
        for topic in topics:
            self.queue.put_nowait(SimpleNamespace(message=SimpleNamespace(topic=topic)))

    def end(self) -> None:
        self.queue.put_nowait(None)


def _topics(batch: list[Any]) -> list[str]:
    return [event.message.topic for event in batch]


async def test_a_beginning_waits_for_its_end() -> None:
    stream = Stream()
    arrivals = Arrivals(stream.events(), stream.queue, 100, "ends", FOREVER_S)
    stream.put("begins")
    batch = asyncio.create_task(arrivals.batch())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not batch.done()
    stream.put("begins", "ends", "begins")
    assert _topics(await batch) == ["begins", "begins", "ends", "begins"]


async def test_an_end_goes_at_once_and_a_full_batch_too() -> None:
    stream = Stream()
    arrivals = Arrivals(stream.events(), stream.queue, 3, "ends", FOREVER_S)
    stream.put("ends")
    assert _topics(await arrivals.batch()) == ["ends"]
    stream.put("begins", "begins", "begins", "ends")
    assert [_topics(await arrivals.batch()) for _ in range(2)] == [["begins"] * 3, ["ends"]]


async def test_what_no_end_follows_goes_alone_and_nothing_is_lost_behind_it() -> None:
    stream = Stream()
    arrivals = Arrivals(stream.events(), stream.queue, 100, "ends", 0.001)
    stream.put("begins")
    assert _topics(await arrivals.batch()) == ["begins"]
    stream.put("first", "ends")  # the first of them comes to who waited in vain
    assert _topics(await arrivals.batch()) == ["first", "ends"]


async def test_where_nothing_is_awaited_each_record_goes_at_once() -> None:
    stream = Stream()
    arrivals = Arrivals(stream.events(), stream.queue, 100)
    stream.put("begins")
    assert _topics(await arrivals.batch()) == ["begins"]


async def test_the_end_of_the_stream_gives_what_was_held_and_then_nothing() -> None:
    stream = Stream()
    arrivals = Arrivals(stream.events(), stream.queue, 100, "ends", FOREVER_S)
    stream.put("begins")
    stream.end()
    assert _topics(await arrivals.batch()) == ["begins"]
    assert await arrivals.batch() == []


async def test_closing_ends_the_wait() -> None:
    stream = Stream()
    arrivals = Arrivals(stream.events(), stream.queue, 100, "ends", 0.001)
    before = asyncio.all_tasks()
    stream.put("begins")
    await arrivals.batch()
    assert asyncio.all_tasks() > before
    arrivals.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
