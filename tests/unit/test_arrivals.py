"""Batches of a table's records: an end goes at once, and takes along what came before it."""

import asyncio
from itertools import count

from streams.log.protocols import LogRecord
from streams.tables.arrivals import Arrivals

FOREVER_S = 3600.0
_OFFSETS = count()


def put(arrivals: Arrivals, *topics: str, generation: int = 1) -> None:
    arrivals.put(generation, [LogRecord(topic, 0, next(_OFFSETS), b"k", b"v", {}, 0) for topic in topics])


async def topics_of(arrivals: Arrivals) -> list[str]:
    return [arrived.record.topic for arrived in await arrivals.batch()]


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_beginning_waits_for_its_end() -> None:
    arrivals = Arrivals(100, 1000, "ends", FOREVER_S)
    put(arrivals, "begins")
    batch = asyncio.create_task(topics_of(arrivals))
    await turns()
    put(arrivals, "begins")
    await turns()
    assert not batch.done()
    put(arrivals, "ends", "begins")
    assert await batch == ["begins", "begins", "ends", "begins"]


async def test_an_end_goes_at_once_and_a_full_batch_too() -> None:
    arrivals = Arrivals(3, 1000, "ends", FOREVER_S)
    put(arrivals, "ends")
    assert await topics_of(arrivals) == ["ends"]
    put(arrivals, "begins", "begins", "begins", "ends")
    assert [await topics_of(arrivals) for _ in range(2)] == [["begins"] * 3, ["ends"]]


async def test_what_no_end_follows_goes_alone_and_nothing_is_lost_behind_it() -> None:
    arrivals = Arrivals(100, 1000, "ends", 0.001)
    put(arrivals, "begins")
    assert await topics_of(arrivals) == ["begins"]
    put(arrivals, "first", "ends")
    assert await topics_of(arrivals) == ["first", "ends"]


async def test_where_nothing_is_awaited_each_record_goes_at_once() -> None:
    arrivals = Arrivals(100, 1000)
    put(arrivals, "begins")
    assert await topics_of(arrivals) == ["begins"]


async def test_each_record_tells_in_which_generation_it_was_read() -> None:
    arrivals = Arrivals(100, 1000)
    put(arrivals, "before", generation=4)
    put(arrivals, "after", generation=5)
    assert [(a.generation, a.record.topic) for a in await arrivals.batch()] == [(4, "before"), (5, "after")]


async def test_who_fetches_waits_until_something_is_taken() -> None:
    arrivals = Arrivals(2, 3)
    put(arrivals, "a", "b")
    assert not arrivals.full
    put(arrivals, "c")
    waiting = asyncio.create_task(arrivals.until_room())
    await turns()
    assert arrivals.full
    assert not waiting.done()
    await arrivals.batch()
    await waiting
    assert not arrivals.full


async def test_what_is_cleared_makes_room_and_does_not_come() -> None:
    arrivals = Arrivals(2, 1)
    put(arrivals, "before")
    waiting = asyncio.create_task(arrivals.until_room())
    await turns()
    arrivals.clear()
    await waiting
    put(arrivals, "after")
    assert await topics_of(arrivals) == ["after"]
