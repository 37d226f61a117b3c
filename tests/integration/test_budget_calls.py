"""A budget of tokens under 200 calls or jobs at once, with all real: ingress, Redis, Kafka, the metering process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from processors.llm.stage import LlmStage
from schemas.events import StageRequest
from schemas.services import Allowance, ServiceSettings
from schemas.services import Quotas as Limits
from schemas.topics import LLM, SERVICES
from streams.quota.quotas import LIFE_MS
from streams.redis_client import redis_client
from streams.redis_keys import QUOTA_STATE
from streams.runtime.testing import FakeContext
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.builders import now_ms
from tests.integration.chat_harness import COMPATIBLE, NATIVE, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import Ingress, records
from tests.integration.table_processes import OwnRedis, TableProcess
from tests.waiting import WaitUntil, eventually

pytestmark = pytest.mark.kafka

BUDGET = 2_000
CALLS = 200
ANSWER = 8
MOST_OF_A_CALL = 80  # as it is reserved: the prompt's estimate with its margin, and the answer
LONG_BUDGET = 4_000
LONG_ANSWER = LONG_BUDGET // 4


@pytest.fixture(scope="module")
def metering(kafka: str, own_redis: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TableProcess]:
    process = TableProcess("streams.metering", kafka, own_redis.url, tmp_path_factory.mktemp("metering"))
    process.start()
    yield process
    process.end()


@pytest_asyncio.fixture
async def ingress(
    kafka: str, own_redis: OwnRedis, metering: TableProcess, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    async with chat_ingress(kafka, own_redis.url, tmp_path_factory.mktemp("budget"), sims) as running:
        client = redis_client(own_redis.url)
        # Counters are believed once they are old enough: nobody here has to wait for that.
        for name, at_ms in (("born", now_ms() - LIFE_MS - 1_000), ("seen", now_ms())):
            await client.hset(QUOTA_STATE, name, at_ms)
        await client.aclose()
        yield running


@asynccontextmanager
async def client_of_a_service(
    ingress: Ingress, tokens_per_month: int, scopes: tuple[str, ...], wait_until: WaitUntil
) -> AsyncIterator[httpx.AsyncClient]:
    """The client, of as many calls at once as a test makes, of a service of its own with a budget of tokens."""
    service = own_service()
    limits = ServiceSettings(service, allowance=Allowance(quotas=Limits(tokens_per_month=tokens_per_month)))
    await ingress.dependencies.publisher.publish(SERVICES, service, limits)
    headers = {"Authorization": f"Bearer {await ingress.key(service, scopes)}"}
    await wait_until(lambda: ingress.dependencies.services.known(service))
    at_once = httpx.Limits(max_connections=CALLS)
    async with httpx.AsyncClient(
        base_url=ingress.base_url, headers=headers, timeout=60, limits=at_once, trust_env=False
    ) as client:
        yield client


async def ask(client: httpx.AsyncClient, number: int) -> httpx.Response:
    """Call; every other one is streamed."""
    words = [{"role": "user", "content": f"안녕하세요 {number:03}"}]
    body = {"model": NATIVE, "messages": words, "max_tokens": ANSWER, "stream": bool(number % 2)}
    return await client.post("/v1/chat/completions", json=body)


async def charged(client: httpx.AsyncClient, requests: int) -> dict[str, Any]:
    """Return what the ledger has of the client's service once so many requests are in it."""

    async def total() -> dict[str, Any]:
        answer = await client.get("/v1/usage", params={"group_by": "service"})
        found = answer.json()["total"] if answer.status_code == 200 else {"requests": -1}
        return found if found["requests"] >= requests else {}

    return await eventually(total)


async def test_200_calls_at_once_never_pass_a_budget_of_tokens_and_the_ledger_has_what_the_server_counted(
    ingress: Ingress, metering: TableProcess, sims: Sims, wait_until: WaitUntil
) -> None:
    await wait_until(metering.ready, timeout_s=60)
    await sims.reset()
    async with client_of_a_service(ingress, BUDGET, ("chat", "usage"), wait_until) as client:
        # Nothing is known of the model yet: what is reserved has to be enough all the same.
        answers = await asyncio.gather(*(ask(client, n) for n in range(1, CALLS + 1)))
        granted = sum(a.status_code == 200 for a in answers)
        refused = [a for a in answers if a.status_code != 200]
        assert granted > 10
        assert len(refused) > CALLS / 2
        for one in refused:
            assert (one.status_code, one.headers["x-quota-exceeded"]) == (429, "tokens_per_month")
            assert int(one.headers["retry-after"]) >= 1
            error = one.json()["error"]
            assert (error["type"], error["code"]) == ("rate_limit_error", "quota_exceeded")
            assert f"{BUDGET:,} tokens a month" in error["message"]
        # What was reserved and not used is there again for the next: the budget can be used up.
        await charged(client, granted)
        while (await ask(client, granted)).status_code == 200:
            granted += 1
            await charged(client, granted)
        total = await charged(client, granted)
    counted = await sims.native.idle()
    assert counted["requests"] == total["requests"] == granted
    assert total["prompt_tokens"] == counted["prompt_tokens"]
    assert total["completion_tokens"] == counted["tokens_sent"] == granted * ANSWER
    assert BUDGET - MOST_OF_A_CALL < total["prompt_tokens"] + total["completion_tokens"] <= BUDGET


async def test_200_calls_that_limit_nothing_never_pass_a_budget_though_the_servers_would_answer_at_length(
    ingress: Ingress, metering: TableProcess, sims: Sims, wait_until: WaitUntil
) -> None:
    """Of two kinds of servers, in two protocols: none is asked for more than was reserved."""
    await wait_until(metering.ready, timeout_s=60)
    await sims.reset()
    for sim in (sims.native, sims.compatible):
        await sim.set(tokens=3 * LONG_ANSWER)
    async with client_of_a_service(ingress, LONG_BUDGET, ("chat", "usage"), wait_until) as client:

        async def ask_for_all(number: int) -> httpx.Response:
            path = ("/v1/chat/completions", "/api/chat")[number % 2]
            words = [{"role": "user", "content": "안녕하세요"}]
            body = {"model": (NATIVE, COMPATIBLE)[number // 2 % 2], "messages": words, "stream": False}
            return await client.post(path, json=body)

        answers = await asyncio.gather(*(ask_for_all(n) for n in range(CALLS)))
        granted = [a for a in answers if a.status_code == 200]
        assert {a.status_code for a in answers} == {200, 429}
        for one in granted:
            assert one.headers["x-quota-max-tokens"] == str(LONG_ANSWER)
            body = one.json()
            ended = body["choices"][0]["finish_reason"] if "choices" in body else body["done_reason"]
            assert ended == "length"
        total = await charged(client, len(granted))
    assert total["completion_tokens"] == len(granted) * LONG_ANSWER
    assert total["prompt_tokens"] + total["completion_tokens"] <= LONG_BUDGET


async def test_200_jobs_that_limit_nothing_never_pass_a_budget_either(
    ingress: Ingress, metering: TableProcess, sims: Sims, kafka: str, wait_until: WaitUntil
) -> None:
    """What is on the log for the model's stage has the limit that was reserved."""
    await wait_until(metering.ready, timeout_s=60)
    await sims.reset()
    await sims.native.set(tokens=3 * LONG_ANSWER)
    async with client_of_a_service(ingress, LONG_BUDGET, ("jobs",), wait_until) as client:

        async def submit(number: int) -> httpx.Response:
            return await client.post("/v1/llm", json={"prompt": f"안녕하세요 {number:03}", "model": NATIVE})

        answers = await asyncio.gather(*(submit(n) for n in range(CALLS)))
    assert {a.status_code for a in answers} == {202, 429}
    stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())
    stage.use(ingress.dependencies.chat.pool)
    granted = [a for a in answers if a.status_code == 202]
    for one in granted:
        assert one.headers["x-quota-max-tokens"] == str(LONG_ANSWER)
        topic, job_id = LLM.requests["interactive"].name, one.json()["job_id"]
        [request] = [r async for r in records(kafka, topic, job_id, StageRequest)]
        assert isinstance(request, StageRequest)
        done = await stage.handle(request, FakeContext(blobs=ingress.dependencies.blobs))
        assert orjson.loads(done.outputs[0].inline or b"")["finish_reason"] == "length"
    counted = await sims.native.idle()
    assert counted["tokens_sent"] == len(granted) * LONG_ANSWER
    assert counted["prompt_tokens"] + counted["tokens_sent"] <= LONG_BUDGET
