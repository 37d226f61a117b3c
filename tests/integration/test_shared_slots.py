"""Two pools, as of ingress and of the stage `llm`, over one model server: slots shared through Redis."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from processors.llm.pool.leases import LeasePolicy, Leases
from processors.llm.pool.opening import open_pool
from processors.llm.pool.pool import Pool
from processors.llm.pool.values import Caller
from streams.redis_client import redis_client
from tests.pools import QUICK, catalogue, chat, text_of
from tests.sim.farm import Farm
from tests.sim.launch import Simulator

POLICY = LeasePolicy(life_s=0.5, interval_s=0.02, settle_s=0.1)
LIMIT = 4


@asynccontextmanager
async def pools_of(sim: Simulator, redis_url: str, number: int) -> AsyncIterator[tuple[str, list[Pool]]]:
    """Pools of so many replicas, and the key of their table."""
    key, models, pools = f"test:{uuid.uuid4().hex}", catalogue([sim], LIMIT), list[Pool]()
    async with AsyncExitStack() as stack:
        for name in range(number):
            redis = redis_client(redis_url)
            stack.push_async_callback(redis.aclose)
            leases = Leases(redis, str(name), {f"up-{sim.port}": LIMIT}, POLICY, key=lambda _: key)
            pool = await stack.enter_async_context(open_pool(models, False, QUICK, limit=leases.limit))
            leases.start(pool.in_use, pool.demand, pool.limits_changed)
            stack.push_async_callback(leases.close)
            pools.append(pool)
        yield key, pools


async def asked(pool: Pool, calls: int, lane: str) -> None:
    """Make so many calls at once and read their answers."""
    await asyncio.gather(*(text_of(pool, chat(4, text=f"{lane}{i}"), Caller("s", lane, lane)) for i in range(calls)))


async def test_two_pools_keep_to_the_limit_even_when_their_table_is_lost(farm: Farm, redis_url: str) -> None:
    async with farm(ttft_ms=20) as sim, pools_of(sim, redis_url, 2) as (key, (one, two)):
        redis = redis_client(redis_url)
        for calls in ((20, 20), (30, 2), (1, 30)):
            under_way = asyncio.gather(*(asked(p, n, "interactive") for p, n in zip((one, two), calls, strict=True)))
            await redis.delete(key)
            await under_way
        await redis.aclose()
        counts = await sim.idle()
        assert counts["ends"] == {"done": 103}
        assert counts["most_open"] <= LIMIT


async def test_interactive_calls_of_one_pool_go_before_the_backlog_of_another(farm: Farm, redis_url: str) -> None:
    async with farm(ttft_ms=50) as sim, pools_of(sim, redis_url, 2) as (_, (door, stage)):
        backlog = asyncio.create_task(asked(stage, 64, "bulk"))
        while (await sim.counts())["open"] < LIMIT:
            pass
        await asked(door, 40, "interactive")
        assert not backlog.done()
        await backlog
        calls = (await sim.counts(each=True))["calls"]
        order = [call["tag"] for call in sorted(calls, key=lambda call: call["number"])]
        first = order.index("interactive")
        last = len(order) - order[::-1].index("interactive")
        between = order[first:last].count("bulk")
        assert between < 20, f"{between} of a backlog's calls came between 40 interactive ones: half were before lanes"
