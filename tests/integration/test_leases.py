"""Replicas share an upstream's limit through Redis, and never hold more than it together."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from processors.llm.pool.leases import LeasePolicy, Leases
from processors.llm.pool.shares import Demand
from streams.redis_client import REDIS_FAILURES, redis_client
from tests.waiting import WaitUntil

POLICY = LeasePolicy(life_s=0.3, interval_s=0.02, settle_s=0.1)
LONG = LeasePolicy(life_s=60, interval_s=0.02, settle_s=0.1)


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


def replica(redis: Redis, name: str, prefix: str, limit: int = 8, policy: LeasePolicy = POLICY) -> Leases:
    """A replica's leases on the one upstream `up`."""
    return Leases(redis, name, {"up": limit}, policy, key=lambda name: prefix + name)


async def settled(
    replicas: Mapping[Leases, int | Demand], goal: list[int], wait_until: WaitUntil, limit: int = 8
) -> None:
    """Renew in turns until each holds what `goal` says; `replicas` says what they want, if not said for interactive."""

    async def there() -> bool:
        for leases, wanted in replicas.items():
            await leases.renew("up", 0, wanted if isinstance(wanted, Demand) else Demand(wanted))
            assert sum(r.limit("up") for r in replicas) <= limit
        return [r.limit("up") for r in replicas] == goal

    await wait_until(there)


async def test_shares_follow_what_each_could_use(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 0}, [8], wait_until)
    await settled({one: 0, two: 0}, [4, 4], wait_until)
    await settled({one: 20, two: 1}, [7, 1], wait_until)
    await settled({one: 20, two: 20}, [4, 4], wait_until)


async def test_interactive_work_goes_before_a_bulk_backlog_elsewhere(
    redis: Redis, prefix: str, wait_until: WaitUntil
) -> None:
    door, one, two = (replica(redis, name, prefix) for name in ("door", "one", "two"))
    backlog = Demand(0, 64)
    await settled({door: 0, one: backlog, two: backlog}, [0, 4, 4], wait_until)
    await settled({door: 10, one: backlog}, [7, 1], wait_until)
    await settled({door: 2, one: backlog}, [2, 6], wait_until)


async def test_a_replica_of_an_earlier_version_is_understood(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    """It tells no lanes, and reads the first three numbers."""
    one = replica(redis, "one", prefix)
    await settled({one: 0}, [8], wait_until)
    await redis.hset(f"{prefix}up", "old", f"4 20 {2**52}")
    await settled({one: Demand(0, 20)}, [1], wait_until)
    assert (await redis.hget(f"{prefix}up", "one")).split()[:2] == [b"1", b"20"]


async def test_slots_in_use_are_not_taken_away(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 8}, [8], wait_until)
    for _ in range(5):
        await two.renew("up", 0, Demand(8))
        await one.renew("up", 6, Demand(8))
    # One keeps six as long as they are in use, and begins nothing above its share of four.
    assert (one.limit("up"), two.limit("up")) == (4, 2)


async def test_slots_that_are_being_given_up_are_used_no_more(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 20}, [8], wait_until)
    await two.renew("up", 0, Demand(20))
    await one.renew("up", 0, Demand(20))
    giving_up = asyncio.create_task(one.renew("up", 0, Demand(20)))
    await asyncio.sleep(0)
    assert not giving_up.done()
    assert one.limit("up") == 4
    await giving_up


async def test_a_replica_with_a_backlog_makes_room(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    """All its slots are in use at every renewal; each that comes free above its share is not given out again."""
    bulk, asked = replica(redis, "bulk", prefix), replica(redis, "asked", prefix)
    await settled({bulk: 64}, [8], wait_until)
    in_use = 8
    for _ in range(10):
        await asked.renew("up", 0, Demand(1))
        await bulk.renew("up", in_use, Demand(64))
        in_use = min(in_use, bulk.limit("up"))  # calls end, and others begin as far as they may
    assert (bulk.limit("up"), asked.limit("up")) == (7, 1)


async def test_a_missing_table_is_unknown_and_nobody_rises(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 20, two: 1}, [7, 1], wait_until)
    await redis.delete(f"{prefix}up")
    await two.renew("up", 1, Demand(20))
    assert two.limit("up") == 1, "the other has not re-added its lease yet"
    await one.renew("up", 7, Demand(20))
    assert one.limit("up") == 7
    await settled({one: 20, two: 20}, [4, 4], wait_until)


async def test_who_has_nothing_takes_one_slot_that_nobody_has_claimed_since_the_table_was_lost(
    redis: Redis, prefix: str, wait_until: WaitUntil
) -> None:
    """A cold start serves before a lease's life is over; the limit holds all the same."""
    one, two = (replica(redis, name, prefix, 1, LONG) for name in ("one", "two"))
    await one.renew("up", 0, Demand(5))
    assert one.limit("up") == 0, "others have not had the time to re-add theirs"

    async def one_of_them_has_it() -> bool:
        for leases in (one, two):
            await leases.renew("up", 0, Demand(5))
        held = one.limit("up") + two.limit("up")
        assert held <= 1
        return held == 1

    # Whoever asks first once the others have had the time.
    await wait_until(one_of_them_has_it)
    holds = [leases.limit("up") for leases in (one, two)]
    for _ in range(3):
        assert await one_of_them_has_it()
        assert [leases.limit("up") for leases in (one, two)] == holds


async def test_leases_expire_with_their_holder(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 4, two: 4}, [4, 4], wait_until)
    await settled({two: 20}, [8], wait_until)


async def test_a_replica_that_leaves_gives_its_slots_back(redis: Redis, prefix: str, wait_until: WaitUntil) -> None:
    one, two = replica(redis, "one", prefix), replica(redis, "two", prefix)
    await settled({one: 4, two: 4}, [4, 4], wait_until)
    await one.close()
    for _ in range(2):  # the first renewal learns that nobody else is there
        await two.renew("up", 0, Demand(20))
    assert two.limit("up") == 8


async def test_without_redis_a_replica_keeps_its_share(prefix: str, wait_until: WaitUntil) -> None:
    nowhere = redis_client("redis://127.0.0.1:9/0")
    leases = replica(nowhere, "one", prefix)
    told: list[str] = []
    with pytest.raises(REDIS_FAILURES):
        await leases.renew("up", 0, Demand(1))
    leases.start(lambda _: 0, lambda _: Demand(1), told.extend)
    await wait_until(lambda: told)
    assert leases.limit("up") == 1
    await leases.close()
    await nowhere.aclose()


class _Away:
    """A Redis that does not answer until it is back."""

    def __init__(self, redis: Redis) -> None:
        self.is_back = False
        self._redis = redis

    def register_script(self, script: str) -> Callable[..., Awaitable[Any]]:
        run = self._redis.register_script(script)

        async def when_back(**how: Any) -> Any:
            if not self.is_back:
                raise ConnectionError("it is away")
            return await run(**how)

        return when_back

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)


async def test_a_replica_that_started_without_redis_keeps_its_slot_when_it_is_back(
    redis: Redis, prefix: str, wait_until: WaitUntil
) -> None:
    away, seen = _Away(redis), list[int]()
    leases = replica(cast(Redis, away), "one", prefix)

    def demand(upstream: str) -> Demand:
        seen.append(leases.limit(upstream))
        return Demand(1)

    leases.start(lambda _: 0, demand, lambda _: None)
    await wait_until(lambda: leases.limit("up") == 1)
    seen.clear()
    away.is_back = True
    await wait_until(lambda: leases.limit("up") == 8)
    await leases.close()
    assert min(seen) == 1
