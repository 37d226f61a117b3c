"""Claims on the ids that Idempotency-Keys make, between replicas, on a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from streams import claims as claiming
from streams import redis_keys
from streams.claims import Claim, Claims
from streams.redis_client import redis_client
from tests.integration.table_processes import OwnRedis

MADE_MS = 1_800_000_000_000


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = redis_client(redis_url)
    yield client
    await client.aclose()


async def test_of_two_contents_at_two_replicas_one_has_the_key(redis: Redis) -> None:
    job_id = uuid4().hex
    taken = await asyncio.gather(*(Claims(redis).take(job_id, f"digest-{n}") for n in range(10)))
    assert sorted(claim.first for claim in taken) == 9 * [False] + [True]
    (winner,) = (n for n, claim in enumerate(taken) if claim.first)
    assert {claim.digest for claim in taken if not claim.first} == {f"digest-{winner}"}
    assert 0 < await redis.ttl(redis_keys.claim(job_id)) <= claiming.CLAIM_S


async def test_the_same_content_waits_until_the_first_is_accepted(redis: Redis) -> None:
    first, second, job_id = Claims(redis), Claims(redis), uuid4().hex
    assert (await first.take(job_id, "same")).first
    waiting = asyncio.create_task(second.take(job_id, "same"))
    first.accepted(job_id, "same", MADE_MS)
    assert await waiting == Claim(digest="same", created_at_ms=MADE_MS)
    assert await Claims(redis).take(job_id, "other") == Claim(digest="same", created_at_ms=MADE_MS)


async def test_one_that_is_never_accepted_is_taken_over_with_the_same_content(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ingress died, or the log refused it; what is on the log under this id would be the same."""
    monkeypatch.setattr(claiming, "_PATIENCE_S", 0.05)
    job_id = uuid4().hex
    assert (await Claims(redis).take(job_id, "same")).first
    assert (await Claims(redis).take(job_id, "same")).first
    assert not (await Claims(redis).take(job_id, "other")).first


async def test_a_key_of_which_nothing_came_is_free_again(redis: Redis) -> None:
    claims, job_id = Claims(redis), uuid4().hex
    assert (await claims.take(job_id, "refused")).first
    await claims.drop(job_id, "refused")
    assert (await claims.take(job_id, "another")).first
    await claims.drop(job_id, "refused")
    assert (await Claims(redis).take(job_id, "refused")).digest == "another"


async def test_a_view_is_what_tells_once_it_is_there(redis: Redis) -> None:
    """And leaves no claim of the one that asked."""
    job_id = uuid4().hex
    await redis.set(redis_keys.job(job_id), b"the view", ex=60)
    assert await Claims(redis).take(job_id, "any") == Claim(view=b"the view")
    assert not await redis.exists(redis_keys.claim(job_id))


async def test_without_redis_a_replica_keeps_to_what_it_has_seen(tmp_path: Path) -> None:
    server = OwnRedis(tmp_path)
    server.start()
    try:
        async with AsyncExitStack() as stack:
            client = redis_client(server.url)
            stack.push_async_callback(client.aclose)
            claims = Claims(client)
            assert (await claims.take("before", "one")).first
            claims.accepted("before", "one", MADE_MS)
            server.stop()
            assert (await claims.take("before", "other")).digest == "one"
            assert (await claims.take("before", "one")).created_at_ms == MADE_MS
            assert await claims.take("new", "one") == Claim(first=True, alone=True)
            assert (await claims.take("new", "other")).digest == "one"
            assert (await Claims(client).take("new", "other")).first, "another replica cannot know"
    finally:
        server.stop()
