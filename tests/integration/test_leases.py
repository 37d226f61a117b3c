"""Replicas share an upstream's limit through Redis, and never hold more than it together."""

import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from processors.llm.pool.leases import LeasePolicy, Leases
from streams.redis_client import REDIS_FAILURES, redis_client
from tests.waiting import WaitUntil

POLICY = LeasePolicy(life_s=0.3, interval_s=0.02)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client."""
    client = redis_client(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def prefix() -> str:
    """A table of the test's own."""
    return f"test:{uuid.uuid4().hex}:"


def replica(redis: Redis, name: str, prefix: str, limit: int = 8) -> Leases:
    """A replica's leases on the one upstream `up`."""
    return Leases(redis, name, {"up": limit}, POLICY, key=lambda name: prefix + name)


async def settled(replicas: dict[Leases, int], goal: list[int], wait_until: WaitUntil, limit: int = 8) -> None:
    """Renew in turns until each holds what `goal` says; `replicas` says what they want."""

    async def there() -> bool:
        for leases, wanted in replicas.items():
            await leases.renew("up", 0, wanted)
            assert sum(r.limit("up") for r in replicas) <= limit
        return [r.limit("up") for r in replicas] == goal

    await wait_until(there)


async def test_shares_follow_what_each_could_use(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 0}, [8], wait_until)
    await settled({one: 0, two: 0}, [4, 4], wait_until)
    await settled({one: 20, two: 1}, [7, 1], wait_until)
    await settled({one: 20, two: 20}, [4, 4], wait_until)


async def test_slots_in_use_are_not_taken_away(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 8}, [8], wait_until)
    for _ in range(5):
        await two.renew("up", 0, 8)
        await one.renew("up", 6, 8)
    # One keeps six as long as they are in use, and begins nothing above its share of four.
    assert (one.limit("up"), two.limit("up")) == (4, 2)


async def test_a_replica_with_a_backlog_makes_room(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    """All its slots are in use at every renewal; each that comes free above its share is not given out again."""
    bulk, asked = replica(redis, "bulk", prefix), replica(redis, "asked", prefix)
    await settled({bulk: 64}, [8], wait_until)
    in_use = 8
    for _ in range(10):
        await asked.renew("up", 0, 1)
        await bulk.renew("up", in_use, 64)
        in_use = min(in_use, bulk.limit("up"))  # calls end, and others begin as far as they may
    assert (bulk.limit("up"), asked.limit("up")) == (7, 1)


async def test_a_missing_table_is_unknown_and_nobody_rises(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 20, two: 1}, [7, 1], wait_until)
    await redis.delete(f"{prefix}up")
    await two.renew("up", 1, 20)
    assert two.limit("up") == 1, "the other has not re-added its lease yet"
    await one.renew("up", 7, 20)
    assert one.limit("up") == 7
    await settled({one: 20, two: 20}, [4, 4], wait_until)


async def test_leases_expire_with_their_holder(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 4, two: 4}, [4, 4], wait_until)
    await settled({two: 20}, [8], wait_until)


async def test_a_replica_that_leaves_gives_its_slots_back(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 4, two: 4}, [4, 4], wait_until)
    await one.close()
    for _ in range(2):  # the first renewal learns that nobody else is there
        await two.renew("up", 0, 20)
    assert two.limit("up") == 8


async def test_without_redis_a_replica_keeps_its_share(prefix: str, wait_until: WaitUntil) -> None:
    nowhere = redis_client("redis://127.0.0.1:9/0")
    leases = replica(nowhere, "one", prefix)
    told: list[str] = []
    with pytest.raises(REDIS_FAILURES):
        await leases.renew("up", 0, 1)
    leases.start(lambda _: 0, lambda _: 1, told.extend)
    await wait_until(lambda: told)
    assert leases.limit("up") == 1
    await leases.close()
    await nowhere.aclose()
