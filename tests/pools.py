"""A pool over simulators for a test, and what it is asked."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from processors.llm.pool.answers import Answer
from processors.llm.pool.breaker import BreakerPolicy
from processors.llm.pool.hedging import HedgePolicy
from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream
from processors.llm.pool.opening import open_pool
from processors.llm.pool.pool import Pool
from processors.llm.pool.values import Caller, PoolPolicy
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Call, Dialect, Task
from processors.llm.upstream_answer import AnswerLimits
from tests.sim.launch import Simulator

ASKER = Caller("team-a", "interactive")
QUICK = PoolPolicy(
    outage_patience_s=0.5, breaker=BreakerPolicy(failures=3, cool_down_s=0.2), hedge=HedgePolicy(least_s=0.3)
)


def chat(tokens: int = 8, stream: bool = True, text: str = "x", **options: Any) -> Call:
    """An Ollama caller's chat."""
    body = {
        "model": "tiny",
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
        "options": {"num_predict": tokens, **options},
    }
    return checked_call(Dialect.OLLAMA, Task.CHAT, body)


def catalogue(sims: Iterable[Simulator], limit: int = 4, kind: Dialect = Dialect.OLLAMA) -> Catalogue:
    """A catalogue with the one model `tiny` on all the simulators."""
    base = "/v1" if kind is Dialect.OPENAI else ""
    upstreams = {f"up-{s.port}": Upstream(f"up-{s.port}", kind, s.url + base, limit) for s in sims}
    routes = tuple(Route(name, "tiny:latest") for name in upstreams)
    return Catalogue(upstreams, {"tiny": PublicModel("tiny", routes)})


@asynccontextmanager
async def pool_of(
    *sims: Simulator,
    limit: int = 4,
    kind: Dialect = Dialect.OLLAMA,
    policy: PoolPolicy = QUICK,
    limits: AnswerLimits | None = None,
) -> AsyncIterator[Pool]:
    """A running pool over the simulators."""
    async with open_pool(catalogue(sims, limit, kind), False, policy, limits) as pool:
        yield pool


async def text_of(pool: Pool, call: Call, caller: Caller = ASKER) -> str:
    """Ask, and return the whole text."""
    async with await pool.open(call, caller) as answer:
        return "".join([part.text async for batch in answer.batches() for chunk in batch for part in chunk.parts])


async def warm(sim: Simulator) -> None:
    """Have the model loaded before the pool looks."""
    async with pool_of(sim) as pool:
        assert await text_of(pool, chat(tokens=1))


async def is_open(sim: Simulator) -> bool:
    return (await sim.counts())["open"] > 0


async def drained(answer: Answer) -> None:
    """Read an answer to its end."""
    async with answer:
        async for _ in answer.batches():
            pass


def in_use(pool: Pool) -> int:
    """How many slots are taken."""
    return sum(state.outstanding for state in pool.states())
