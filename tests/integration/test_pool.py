"""The pool against simulators: balance, retries before the first token, exact counts, no leaked slots."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from processors.llm.errors import AnswerBroken, CallRefused, NoUpstream, QueueFull, UnknownModel, WaitedTooLong
from processors.llm.pool.breaker import BreakerPolicy
from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream
from processors.llm.pool.opening import open_pool
from processors.llm.pool.pool import Pool
from processors.llm.pool.slots import QueuePolicy
from processors.llm.pool.values import Caller, PoolPolicy
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Dialect, Json, Task
from processors.llm.upstream_answer import AnswerLimits
from tests.pools import ASKER, QUICK, catalogue, chat, drained, in_use, is_open, pool_of, text_of, warm
from tests.sim.farm import Farm
from tests.waiting import WaitUntil

NO_PATIENCE = PoolPolicy(outage_patience_s=0)


@pytest.mark.parametrize("kind", [Dialect.OLLAMA, Dialect.OPENAI])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_counted_as_the_upstream_counts_it(farm: Farm, kind: Dialect, stream: bool) -> None:
    async with farm(kind.value) as sim, pool_of(sim, kind=kind) as pool:
        async with await pool.open(chat(8, stream), ASKER) as answer:
            batches = [batch async for batch in answer.batches()]
        assert batches
        assert (answer.used.completion_tokens, answer.used.complete, answer.used.counted) == (8, True, True)
        counts = await sim.idle()
        assert counts["tokens_sent"] == 8
        assert counts["prompt_tokens"] == answer.used.prompt_tokens
        assert counts["ends"] == {"done": 1}
        assert in_use(pool) == 0


async def test_calls_spread_over_the_upstreams(farm: Farm) -> None:
    async with farm(token_ms=5) as one, farm(token_ms=5) as two:
        async with pool_of(one, two) as pool:
            await asyncio.gather(*(text_of(pool, chat(text=str(i))) for i in range(8)))
        assert [(await s.counts())["requests"] for s in (one, two)] == [4, 4]


async def test_a_conversation_goes_on_where_it_was_served_before(farm: Farm) -> None:
    talks: dict[str, list[Json]] = {f"talk-{number}": [] for number in range(5)}
    async with farm() as one, farm() as two, farm() as three:
        await asyncio.gather(*(warm(sim) for sim in (one, two, three)))
        async with pool_of(one, two, three) as pool:
            for turn in range(4):
                for name, said in talks.items():
                    said.append({"role": "user", "content": f"{name}, question {turn}"})
                    call = checked_call(Dialect.OLLAMA, Task.CHAT, {"model": "tiny", "messages": said})
                    told = await text_of(pool, call, replace(ASKER, request_id=name))
                    said.append({"role": "assistant", "content": told})
        calls = [(await sim.counts(each=True))["calls"] for sim in (one, two, three)]
    served = [sorted(call["tag"] for call in each if call["tag"]) for each in calls]
    assert all(tags == sorted([*set(tags)] * 4) for tags in served), served
    assert sorted(len(tags) for tags in served) == [4, 8, 8]


async def test_no_upstream_gets_more_than_its_limit(farm: Farm) -> None:
    async with farm(token_ms=2) as sim:
        async with pool_of(sim, limit=3) as pool:
            await asyncio.gather(*(text_of(pool, chat(text=str(i))) for i in range(20)))
        assert (await sim.counts())["most_open"] == 3


@pytest.mark.parametrize(
    "fault", ["error_500", "not_json", "busy", "error_in_stream", "no_end", "cut", "garbage", "rate_limited", "killed"]
)
async def test_a_failure_before_the_first_token_goes_unnoticed(farm: Farm, fault: str) -> None:
    async with farm() as bad, farm() as good:
        await bad.set(fault=fault, fault_after=0)
        async with pool_of(bad, good) as pool:
            for i in range(6):
                assert await text_of(pool, chat(text=str(i)))
            assert in_use(pool) == 0
        assert (await good.counts())["ends"] == {"done": 6}


@pytest.mark.parametrize("hang_health", [True, False])
async def test_a_hung_upstream_costs_a_pause_and_no_call(farm: Farm, hang_health: bool) -> None:
    async with farm() as bad, farm() as good:
        await asyncio.gather(warm(bad), warm(good))
        async with pool_of(bad, good) as pool:
            await bad.set(fault="hang", hang_health=hang_health)
            texts = await asyncio.gather(*(text_of(pool, chat(text=str(i))) for i in range(8)))
            assert all(texts)
            assert in_use(pool) == 0
        assert (await good.counts())["ends"] == {"done": 9}
        assert (await bad.idle())["tokens_sent"] == 1


async def test_a_killed_upstream_loses_only_streams_that_had_begun(farm: Farm) -> None:
    async with farm(token_ms=5) as bad, farm(token_ms=5) as good, pool_of(bad, good, limit=8) as pool:
        answers = await asyncio.gather(*(pool.open(chat(100, text=str(i)), ASKER) for i in range(8)))
        bad.kill()
        broken = 0
        for answer in answers:
            try:
                await drained(answer)
            except AnswerBroken:
                broken += 1
        assert broken == 4
        assert all(await asyncio.gather(*(text_of(pool, chat(text=str(i))) for i in range(8))))
        assert in_use(pool) == 0


@pytest.mark.parametrize("fault", ["error_in_stream", "no_end", "cut", "garbage", "hang_mid"])
@pytest.mark.parametrize("kind", [Dialect.OLLAMA, Dialect.OPENAI])
async def test_an_answer_that_breaks_is_told_and_counted(farm: Farm, fault: str, kind: Dialect) -> None:
    limits = AnswerLimits(between_tokens_s=0.3)
    async with farm(kind.value, token_ms=20) as sim:
        await sim.set(fault=fault, fault_after=3)
        async with pool_of(sim, kind=kind, limits=limits) as pool:
            answer = await pool.open(chat(8), ASKER)
            with pytest.raises(AnswerBroken):
                await drained(answer)
            # One that goes on after garbage may have one more token underway: it counts when it came with the garbage.
            assert 3 <= answer.used.completion_tokens <= (await sim.idle())["tokens_sent"]
            assert fault == "garbage" or answer.used.completion_tokens == 3
            assert not answer.used.complete
            assert in_use(pool) == 0


async def test_a_caller_who_leaves_frees_the_upstream_and_is_counted_exactly(farm: Farm) -> None:
    async with farm(token_ms=20) as sim, pool_of(sim, limit=50) as pool:

        async def leave_after(batches: int) -> int:
            async with await pool.open(chat(500, text=str(batches)), ASKER) as answer:
                async for _ in answer.batches():
                    batches -= 1
                    if batches <= 0:
                        break
            return answer.used.completion_tokens

        seen = await asyncio.gather(*(leave_after(1 + i % 7) for i in range(40)))
        counts = await sim.idle()
        assert counts["tokens_sent"] == sum(seen)
        assert counts["ends"] == {"disconnected": 40}
        assert in_use(pool) == 0


@pytest.mark.parametrize("kind", list(Dialect))
async def test_an_answer_that_ended_unread_is_counted_whole_when_its_caller_leaves(farm: Farm, kind: Dialect) -> None:
    async with farm(kind.value, token_ms=5) as sim, pool_of(sim, kind=kind) as pool:
        async with await pool.open(chat(30), ASKER) as answer:
            counts = await sim.idle()
            assert counts["ends"] == {"done": 1}
            await sim.counts()  # whatever was sent before this reached us before its answer
        assert answer.used.completion_tokens == counts["tokens_sent"] == 30
        assert in_use(pool) == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancelled_call_frees_the_upstream(farm: Farm, stream: bool, wait_until: WaitUntil) -> None:
    async with farm(ttft_ms=60_000) as sim, pool_of(sim) as pool:
        call = asyncio.create_task(pool.open(chat(stream=stream), ASKER))
        await wait_until(lambda: is_open(sim))
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        assert (await sim.idle())["ends"] == {"disconnected": 1}
        assert in_use(pool) == 0


async def test_a_caller_who_leaves_the_queue_takes_no_slot(farm: Farm) -> None:
    async with farm(token_ms=10) as sim, pool_of(sim, limit=1) as pool:
        async with await pool.open(chat(500), ASKER):
            waiting = asyncio.create_task(pool.open(chat(), ASKER))
            await asyncio.sleep(0)
            assert pool.waiting(interactive=True) == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert pool.waiting(interactive=True) == 0
        assert await text_of(pool, chat())


async def test_a_full_queue_and_a_long_wait_are_told_with_retry_after(farm: Farm) -> None:
    policy = PoolPolicy(queue=QueuePolicy(bound=1, interactive_wait_s=0.05))
    async with (
        farm(token_ms=10) as sim,
        pool_of(sim, limit=1, policy=policy) as pool,
        await pool.open(chat(500), ASKER),
    ):
        waiting = asyncio.create_task(pool.open(chat(), ASKER))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as full:
            await pool.open(chat(), ASKER)
        assert full.value.retry_after_s >= 1
        with pytest.raises(WaitedTooLong):
            await waiting


async def test_a_cold_server_that_says_busy_is_asked_again(farm: Farm) -> None:
    async with farm(load_ms=300, queue=1) as sim:
        async with pool_of(sim, limit=6) as pool:
            texts = await asyncio.gather(*(text_of(pool, chat(text=str(i))) for i in range(6)))
        assert all(texts)
        assert (await sim.counts())["ends"]["refused"] > 0


async def test_all_upstreams_down_is_an_outage_and_heals_by_itself(farm: Farm, wait_until: WaitUntil) -> None:
    async with farm() as sim, pool_of(sim) as pool:
        await sim.set(fault="error_500")
        for _ in range(4):
            with pytest.raises(NoUpstream) as down:
                await text_of(pool, chat())
        assert down.value.retry_after_s >= 1
        assert not pool.states()[0].usable
        await sim.set(fault="none")
        await wait_until(lambda: pool.states()[0].usable)
        assert await text_of(pool, chat())


async def test_a_model_that_is_only_to_be_loaded_does_not_take_the_trial_of_a_server_that_loads_by_itself(
    farm: Farm, wait_until: WaitUntil
) -> None:
    policy = PoolPolicy(attempts=1, outage_patience_s=0, breaker=BreakerPolicy(failures=1, cool_down_s=0.2))
    async with farm("openai") as sim, pool_of(sim, kind=Dialect.OPENAI, policy=policy) as pool:
        await sim.set(fault="error_500")
        with pytest.raises(NoUpstream):
            await text_of(pool, chat())
        await wait_until(lambda: pool.states()[0].usable)
        load = checked_call(Dialect.OLLAMA, Task.CHAT, {"model": "tiny", "messages": []})
        await drained(await pool.open(load, ASKER))
        assert pool.states()[0].usable


async def test_an_upstream_that_is_down_at_start_hinders_nothing(farm: Farm) -> None:
    async with farm() as sim:
        there = catalogue([sim])
        gone = Upstream("gone", Dialect.OLLAMA, "http://127.0.0.1:9", 4)
        model = PublicModel("tiny", (Route("gone", "tiny"), *there.models["tiny"].routes))
        both = Catalogue({"gone": gone, **there.upstreams}, {"tiny": model})
        async with open_pool(both, False, QUICK) as pool:
            assert await text_of(pool, chat())
            assert [state.usable for state in pool.states()] == [False, True]


async def test_a_fallback_model_serves_when_the_model_cannot_and_the_caller_may_have_it(farm: Farm) -> None:
    async with farm(models=("small:latest",)) as sim:
        name = f"up-{sim.port}"
        upstreams = {name: Upstream(name, Dialect.OLLAMA, sim.url, 4)}
        upstreams["gone"] = Upstream("gone", Dialect.OLLAMA, "http://127.0.0.1:9", 4)
        models = {
            "tiny": PublicModel("tiny", (Route("gone", "tiny"),), fallbacks=("large", "small")),
            "large": PublicModel("large", (Route(name, "small"),), services=frozenset({"team-b"})),
            "small": PublicModel("small", (Route(name, "small"),)),
        }

        async def served_by(pool: Pool, service: str, allowed: frozenset[str] | None) -> str:
            async with await pool.open(chat(), Caller(service, "interactive", models=allowed)) as answer:
                await drained(answer)
            assert answer.upstream == name
            return answer.model

        async with open_pool(Catalogue(upstreams, models), False, NO_PATIENCE) as pool:
            assert await served_by(pool, "team-a", None) == "small"
            assert await served_by(pool, "team-b", None) == "large"
            assert await served_by(pool, "team-b", frozenset({"tiny", "small"})) == "small"
            with pytest.raises(NoUpstream, match="'tiny'"):
                await served_by(pool, "team-a", frozenset({"tiny"}))
            with pytest.raises(NoUpstream, match="'tiny'"):
                await served_by(pool, "team-a", frozenset({"tiny", "large"}))
        assert (await sim.counts())["requests"] == 3


async def test_models_are_found_where_no_file_names_them(farm: Farm) -> None:
    async with farm(models=("tiny:latest", "big:7b")) as sim:
        upstream = Upstream("found", Dialect.OLLAMA, sim.url, 4)
        async with open_pool(Catalogue({"found": upstream}, {}), True) as pool:
            assert sorted(pool.catalogue.models) == ["big:7b", "tiny:latest"]
            assert await text_of(pool, chat())
            with pytest.raises(UnknownModel, match="'nope' not found") as unknown:
                await pool.open(checked_call(Dialect.OLLAMA, Task.CHAT, {"model": "nope", "messages": []}), ASKER)
            assert "big:7b" in unknown.value.remedy


async def test_what_an_upstream_refuses_is_not_tried_elsewhere(farm: Farm) -> None:
    async with farm() as one, farm() as two, pool_of(one, two) as pool:
        body = {"model": "tiny", "think": True, "messages": [{"role": "user", "content": "x"}]}
        with pytest.raises(CallRefused) as refused:
            await pool.open(checked_call(Dialect.OLLAMA, Task.CHAT, body), ASKER)
        assert (refused.value.status, "thinking" in refused.value.told) == (400, True)
        assert all(state.usable for state in pool.states())


async def test_answers_without_end_are_bounded(farm: Farm) -> None:
    limits = AnswerLimits(whole_bytes=20_000)
    async with farm() as sim:
        await sim.set(fault="endless")
        async with pool_of(sim, limits=limits) as pool:
            answer = await pool.open(chat(8), ASKER)
            with pytest.raises(AnswerBroken, match="longer than 20000 bytes"):
                await drained(answer)
            assert (await sim.idle())["ends"] == {"disconnected": 1}


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("kind", list(Dialect))
async def test_embeddings_come_from_either_kind(farm: Farm, dialect: Dialect, kind: Dialect) -> None:
    async with farm(kind.value) as sim, pool_of(sim, kind=kind) as pool:
        call = checked_call(dialect, Task.EMBED, {"model": "tiny", "input": ["a", "b"]})
        async with await pool.open(call, ASKER) as answer:
            (batch,) = [batch async for batch in answer.batches()]
        assert [len(vector) for vector in batch[0].embeddings] == [64, 64]
        assert answer.used.prompt_tokens == (await sim.idle())["prompt_tokens"]


async def test_interactive_calls_pass_a_bulk_backlog(farm: Farm) -> None:
    order: list[str] = []
    async with farm(token_ms=1) as sim, pool_of(sim, limit=1) as pool:

        async def ask(lane: str, number: int) -> None:
            await text_of(pool, chat(4, text=f"{lane}{number}"), Caller("team-a", lane))
            order.append(lane)

        bulk = [asyncio.create_task(ask("bulk", i)) for i in range(20)]
        await asyncio.sleep(0)
        await asyncio.gather(ask("interactive", 0), *bulk)
    assert order.index("interactive") <= 1
