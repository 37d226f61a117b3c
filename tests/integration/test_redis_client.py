"""The client of Redis, on a real one: whoever is cancelled ends, and leaves no answer to the next."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from streams.redis_client import redis_client

Command = Callable[[Redis], Awaitable[object]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with redis_client(redis_url) as client:
        await client.set("redis_client:mine", b"mine", ex=60)
        await client.set("redis_client:other", b"other", ex=60)
        yield client


async def _one(redis: Redis) -> object:
    return await redis.get("redis_client:mine")


async def _several(redis: Redis) -> object:
    async with redis.pipeline(transaction=False) as pipe:
        pipe.get("redis_client:mine")
        pipe.get("redis_client:mine")
        return await pipe.execute()


@pytest.mark.parametrize("command", [_one, _several])
@pytest.mark.parametrize("turns", range(6))
async def test_who_is_cancelled_while_it_asks_ends(redis: Redis, command: Command, turns: int) -> None:
    went_on = False

    async def asks() -> None:
        nonlocal went_on
        await command(redis)
        went_on = True
        await asyncio.Event().wait()

    await command(redis)  # a connection stands: what is cancelled is the asking
    task = asyncio.ensure_future(asks())
    for _ in range(turns):
        await asyncio.sleep(0)
    answered_before = went_on
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    assert went_on == answered_before
    assert await redis.get("redis_client:other") == b"other"
