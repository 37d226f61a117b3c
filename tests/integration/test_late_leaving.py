"""What lies in a socket counts, however late we come to look at it: processes that stood still, waits that are over."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from urllib.request import urlopen

import orjson
import pytest
import uvloop

from processors.llm import upstream_answer
from processors.llm.pool.answers import Answer
from processors.llm.pool.pool import Pool
from processors.llm.pool.tally import Lost, Used
from tests.pools import ASKER, chat, in_use, pool_of
from tests.sim.farm import Farm
from tests.sim.launch import Simulator

TOKENS = 24
READ = 5

Scene = Callable[[Pool, Simulator], Awaitable[Used]]


def _in_a_process_of_ours(scene: Scene, sim: Simulator) -> Used:
    """Run a scene on the event loop that ingress has, whose timers are looked at before its sockets."""

    async def played() -> Used:
        async with pool_of(sim) as pool:
            used = await scene(pool, sim)
            assert in_use(pool) == 0
            return used

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(played())


def _stand_still(sim: Simulator, tokens: int = TOKENS) -> None:
    """Hold the event loop up until the server has sent so many tokens, as a stopped process does."""
    while True:
        with urlopen(f"{sim.url}/_sim/counts") as answer:
            if orjson.loads(answer.read())["tokens_sent"] >= tokens:
                return


async def _begun(pool: Pool, tokens: int = TOKENS) -> Answer:
    answer = await pool.open(chat(tokens), ASKER)
    async for _ in answer.batches():
        if answer.used.completion_tokens >= READ:
            break
    return answer


async def _left(pool: Pool, sim: Simulator) -> Used:
    async with await _begun(pool) as answer:
        _stand_still(sim)
    return answer.used


async def _left_for_another(pool: Pool, sim: Simulator) -> Used:
    answer = await _begun(pool)
    _stand_still(sim)
    answer.drop()
    return answer.used


async def _broken_off_while_leaving(pool: Pool, sim: Simulator) -> Used:
    """Our process ends while it waits for a server that does not hear that it leaves."""
    answer = await _begun(pool, 1000)  # not at its end by then, on however busy a machine
    _stand_still(sim, 2 * READ)
    sim.process.send_signal(signal.SIGSTOP)
    try:
        leaving = asyncio.create_task(answer.leave())
        leaving.get_loop().call_soon(leaving.cancel)
        with pytest.raises(asyncio.CancelledError):
            await leaving
    finally:
        sim.process.send_signal(signal.SIGCONT)
    return answer.used


async def _broken_off_before_the_first_token(pool: Pool, sim: Simulator) -> Used:
    lost: list[Lost] = []
    opening = asyncio.create_task(pool.open(chat(TOKENS), ASKER, lost))

    async def begin(_: upstream_answer.UpstreamAnswer) -> None:
        _stand_still(sim)
        opening.cancel()
        await asyncio.sleep(0)
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upstream_answer.UpstreamAnswer, "begin", begin)
        with pytest.raises(asyncio.CancelledError):
            await opening
    (each,) = lost
    return each.used


@pytest.mark.parametrize(
    "scene", [_left, _left_for_another, _broken_off_while_leaving, _broken_off_before_the_first_token]
)
async def test_what_came_while_the_process_stood_still_is_counted(
    farm: Farm, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its patience is over at once here: it stood still for longer."""
    monkeypatch.setattr(upstream_answer, "_LEAVING_S", 0.0)
    async with farm(token_ms=10, tokens=TOKENS) as sim:
        used = await asyncio.to_thread(_in_a_process_of_ours, scene, sim)
        counts = await sim.idle()
    assert used.completion_tokens == counts["tokens_sent"] >= 2 * READ
    assert scene is _broken_off_while_leaving or counts["tokens_sent"] == TOKENS


async def test_tokens_before_a_break_are_counted_though_the_break_was_seen_first(farm: Farm) -> None:
    async def broken(pool: Pool, sim: Simulator) -> Used:
        async with await _begun(pool) as answer:
            _stand_still(sim, TOKENS - 4)
            source = answer._source
            assert source is not None
            while source._response.content.exception() is None:  # noqa: ASYNC110 - turns of the loop, no time
                await asyncio.sleep(0)
        return answer.used

    async with farm(token_ms=10, tokens=TOKENS, fault="cut", fault_after=TOKENS - 4) as sim:
        used = await asyncio.to_thread(_in_a_process_of_ours, broken, sim)
        counts = await sim.idle()
    assert used.completion_tokens == counts["tokens_sent"] == TOKENS - 4
