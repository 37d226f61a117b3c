"""The pool in trouble: requests that no server can answer, servers that hang and look well."""

import asyncio
from dataclasses import replace

import pytest

from processors.llm.errors import CallFailed, NoUpstream
from processors.llm.pool.breaker import BreakerPolicy
from processors.llm.pool.hedging import HedgePolicy
from tests.pools import ASKER, QUICK, chat, in_use, pool_of, text_of, warm
from tests.sim.farm import Farm
from tests.sim.launch import Simulator
from tests.waiting import WaitUntil

JOB = replace(ASKER, request_id="job-1")


async def _has_failed_one(sim: Simulator) -> bool:
    return (await sim.counts())["ends"].get("error_500", 0) > 0


async def test_a_call_that_no_server_can_answer_takes_none_out(farm: Farm) -> None:
    async with farm() as sim, pool_of(sim, policy=replace(QUICK, outage_patience_s=3)) as pool:
        await sim.set(fault="error_500", fault_prompt="poison")
        for _ in range(3):
            with pytest.raises((CallFailed, NoUpstream)):
                await text_of(pool, chat(text="poison"))
            assert pool.states()[0].usable
            assert await text_of(pool, chat())


async def test_a_call_that_fails_where_others_are_answered_is_no_outage(farm: Farm, wait_until: WaitUntil) -> None:
    async with farm() as sim, pool_of(sim) as pool:
        await sim.set(fault="error_500", fault_prompt="poison")
        failing = asyncio.create_task(text_of(pool, chat(text="poison")))
        await wait_until(lambda: _has_failed_one(sim))
        assert await text_of(pool, chat())
        with pytest.raises(CallFailed):
            await failing


async def test_a_job_that_comes_again_is_told_from_an_outage_by_what_was_answered_between(farm: Farm) -> None:
    async with farm() as sim, pool_of(sim) as pool:
        await sim.set(fault="error_500", fault_prompt="poison")
        with pytest.raises(NoUpstream):
            await text_of(pool, chat(text="poison"), JOB)
        assert await text_of(pool, chat())
        with pytest.raises(CallFailed):
            await text_of(pool, chat(text="poison"), JOB)
        await sim.set(fault_prompt="")
        for _ in range(2):
            with pytest.raises(NoUpstream):
                await text_of(pool, chat(text="poison"), JOB)


async def test_no_call_waits_for_a_hung_server_once_it_is_known(farm: Farm) -> None:
    """More calls than second ones are allowed hang on a server that answers its probes; all are served by the other."""
    # Patient with the good one, however busy this machine is: else some of its calls are asked of the bad one too.
    policy = replace(QUICK, hedge=HedgePolicy(least_s=3))
    async with farm() as bad, farm() as good:
        await asyncio.gather(warm(bad), warm(good))
        async with pool_of(bad, good, limit=64, policy=policy) as pool, asyncio.timeout(20):
            await bad.set(fault="hang")
            texts = await asyncio.gather(*(text_of(pool, chat(text=str(i))) for i in range(64)))
            assert all(texts)
            assert in_use(pool) == 0
        assert (await bad.idle())["ends"]["disconnected"] == 32


async def test_calls_that_wait_go_on_as_soon_as_a_trial_is_answered(farm: Farm, wait_until: WaitUntil) -> None:
    policy = replace(QUICK, breaker=BreakerPolicy(failures=1, cool_down_s=1))
    async with (
        farm(token_ms=20) as busy,
        farm(token_ms=20) as back,
        pool_of(busy, back, limit=3, policy=policy) as pool,
    ):
        await back.set(fault="error_500")
        answers = await asyncio.gather(*(pool.open(chat(500, text=str(i)), ASKER) for i in range(3)))
        waiting = [asyncio.create_task(pool.open(chat(500, text=f"later {i}"), ASKER)) for i in range(3)]
        await wait_until(lambda: pool.waiting(interactive=True) == 3)
        await back.set(fault="none")
        async with asyncio.timeout(5):  # an answer takes 10 s to its end
            answers += await asyncio.gather(*waiting)
        assert (await back.counts())["open"] == 3
        for answer in answers:
            answer.close()
