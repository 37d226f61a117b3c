"""What calls used where the upstream did not say: cut answers, attempts that brought nothing, second calls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from processors.llm.errors import NoUpstream
from processors.llm.pool.hedging import HedgePolicy
from processors.llm.pool.models import Catalogue
from processors.llm.pool.opening import open_pool
from processors.llm.pool.pool import Pool
from processors.llm.pool.tally import Lost, Used
from processors.llm.protocols.values import Dialect
from tests.integration.test_pool import ASKER, NO_PATIENCE, QUICK, catalogue, chat, drained, in_use, pool_of, text_of
from tests.sim.farm import Farm
from tests.sim.launch import Simulator
from tests.waiting import WaitUntil

NOBODY_ELSE = replace(NO_PATIENCE, hedge=HedgePolicy(least_s=0.1))


async def _cut_after(pool: Pool, batches: int) -> Used:
    async with await pool.open(chat(400), ASKER) as answer:
        async for _ in answer.batches():
            batches -= 1
            if batches <= 0:
                break
    return answer.used


@pytest.mark.parametrize("kind", list(Dialect))
async def test_a_cut_answer_of_a_server_with_several_tokens_an_event_is_estimated(farm: Farm, kind: Dialect) -> None:
    async with farm(kind.value, per_event=5, token_ms=4) as sim, pool_of(sim, kind=kind) as pool:
        await text_of(pool, chat(200))  # by which the server is known
        await text_of(pool, chat(200))
        before = (await sim.idle())["tokens_sent"]
        used = await _cut_after(pool, 6)
        sent = (await sim.idle())["tokens_sent"] - before
        assert not used.counted
        assert used.completion_tokens == pytest.approx(sent, rel=0.2)


async def test_a_cut_answer_of_an_unknown_server_with_many_tokens_an_event_is_estimated_by_its_text(farm: Farm) -> None:
    async with farm(per_event=20, token_ms=2) as sim, pool_of(sim) as pool:
        used = await _cut_after(pool, 3)
        assert not used.counted
        assert used.completion_tokens > (await sim.idle())["tokens_sent"] / 3


async def test_the_counts_that_a_server_tells_as_it_goes_are_taken(farm: Farm) -> None:
    async with (
        farm("openai", per_event=3, token_ms=10, tells_counts=True) as sim,
        pool_of(sim, kind=Dialect.OPENAI) as pool,
    ):
        used = await _cut_after(pool, 4)
        counts = await sim.idle()
        assert counts["ends"] == {"disconnected": 1}
        assert used == Used(counts["prompt_tokens"], counts["tokens_sent"], complete=False, counted=True)


async def test_a_whole_answer_may_take_longer_than_a_first_token(farm: Farm) -> None:
    async with farm(token_ms=40) as sim, pool_of(sim, policy=replace(QUICK, first_token_s=0.2)) as pool:
        assert await text_of(pool, chat(20, stream=False))
        assert (await sim.idle())["requests"] == 1


async def test_a_whole_answer_that_takes_too_long_is_not_asked_for_again(farm: Farm) -> None:
    async with farm(ttft_ms=60_000) as sim, pool_of(sim, policy=replace(NO_PATIENCE, whole_s=0.2)) as pool:
        lost: list[Lost] = []
        with pytest.raises(NoUpstream, match="whole answer"):
            await pool.open(chat(20, stream=False), ASKER, lost)
        assert (await sim.idle())["requests"] == 1
        assert [(each.upstream, each.cut) for each in lost] == [(f"up-{sim.port}", False)]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_attempt_that_its_caller_breaks_off_is_told_with_its_prompt(
    farm: Farm, stream: bool, wait_until: WaitUntil
) -> None:
    async with farm(ttft_ms=60_000) as sim, pool_of(sim) as pool:
        lost: list[Lost] = []

        async def is_open() -> bool:
            return (await sim.counts())["open"] == 1

        call = asyncio.create_task(pool.open(chat(stream=stream, text="a prompt of some length"), ASKER, lost))
        await wait_until(is_open)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        (left,) = lost
        assert (left.model, left.upstream, left.cut, left.used.counted) == ("tiny", f"up-{sim.port}", True, False)
        assert (left.used.prompt_tokens, left.used.completion_tokens) == (7, 0)
        assert left.work_s > 0


@asynccontextmanager
async def _one_hangs(farm: Farm, second_calls: bool = True) -> AsyncIterator[tuple[Simulator, Simulator, Pool]]:
    """A pool over a server that hangs and one that serves; a second call is made after 0.1 s."""
    async with farm() as bad, farm() as good:
        for sim in (bad, good):
            async with pool_of(sim) as pool:
                await text_of(pool, chat(1))  # the model is loaded
            await sim.idle()
        await bad.set(fault="hang")
        known = catalogue((bad, good))
        upstreams = {name: replace(each, second_calls=second_calls) for name, each in known.upstreams.items()}
        async with open_pool(Catalogue(upstreams, known.models), False, NOBODY_ELSE) as pool:
            yield bad, good, pool


async def test_the_loser_of_two_calls_is_told_and_the_winner_alone_is_the_answer(farm: Farm) -> None:
    async with _one_hangs(farm) as (bad, good, pool):
        told: list[tuple[str, int]] = []
        for number in range(4):
            lost: list[Lost] = []
            async with await pool.open(chat(8, text=f"a prompt of some length {number}"), ASKER, lost) as answer:
                async for _ in answer.batches():
                    pass
            assert (answer.upstream, answer.used.completion_tokens) == (f"up-{good.port}", 8)
            told += [(each.upstream, each.used.prompt_tokens) for each in lost]
        hung = (await bad.idle())["requests"] - 1
        assert hung > 0
        assert [upstream for upstream, _ in told] == [f"up-{bad.port}"] * hung
        assert all(prompt > 0 for _, prompt in told)
        assert in_use(pool) == 0


async def test_a_server_that_takes_no_part_in_second_calls_gets_none_and_causes_none(farm: Farm) -> None:
    async with _one_hangs(farm, second_calls=False) as (bad, good, pool):
        calls = [asyncio.create_task(pool.open(chat(8, text=str(number)), ASKER)) for number in range(2)]
        done, waiting = await asyncio.wait(calls, timeout=1)
        assert (len(done), len(waiting)) == (1, 1)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await drained(done.pop().result())
        assert ((await bad.idle())["requests"], (await good.idle())["requests"]) == (2, 2)
