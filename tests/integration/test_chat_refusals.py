"""What callers of both protocols are told, over HTTP, when a call cannot be served; and who serves it else."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import ollama
import openai
import orjson
import pytest
import pytest_asyncio

from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream
from processors.llm.pool.opening import open_pool
from processors.llm.pool.pool import Pool
from processors.llm.pool.slots import QueuePolicy
from processors.llm.pool.values import Caller, PoolPolicy
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Dialect, Task
from tests.integration.chat_harness import NATIVE, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import Ingress, own_database, served
from tests.services import free_port

pytestmark = pytest.mark.kafka

ASK: Any = [{"role": "user", "content": "안녕"}]
PATHS = pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Ingress]:
    folder = tmp_path_factory.mktemp("refusals")
    both = '{upstream: native, model: "tiny:latest"}, {upstream: compatible, model: "tiny:latest"}'
    mixed = f"  mixed: {{upstreams: [{both}]}}\n"
    async with chat_ingress(kafka, own_database(redis_url, 9), folder, sims, mixed) as running:
        yield running


@pytest_asyncio.fixture
async def key(ingress: Ingress, sims: Sims) -> str:
    await sims.reset()
    return await ingress.key(own_service(), ("chat",))


@asynccontextmanager
async def over(ingress: Ingress, pool: Any) -> AsyncGenerator[Ingress]:
    """The same application on a port of its own, with another pool."""
    chat = replace(ingress.dependencies.chat, pool=cast(Pool, pool))
    async with served(replace(ingress.dependencies, chat=chat), free_port()) as running:
        yield running


def tiny_at(url: str, limit: int = 1) -> Catalogue:
    """A catalogue with one model on one Ollama."""
    return Catalogue(
        {"up": Upstream("up", Dialect.OLLAMA, url, limit)}, {NATIVE: PublicModel(NATIVE, (Route("up", "tiny:latest"),))}
    )


def told(path: str, body: bytes) -> str:
    """An error's text, in the shape of the path's protocol."""
    error = orjson.loads(body)["error"]
    if path.startswith("/api/"):
        assert isinstance(error, str)
        return error
    assert {"message", "type", "code", "param"} == set(error)
    return error["message"]


@PATHS
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("queue", "status", "words"),
    [
        (QueuePolicy(bound=0), 429, "wait for a model server already"),
        (QueuePolicy(interactive_wait_s=0.05), 503, "no model server came free within"),
    ],
)
async def test_a_full_queue_and_too_long_a_wait_say_when_to_ask_again(
    ingress: Ingress, key: str, sims: Sims, path: str, stream: bool, queue: QueuePolicy, status: int, words: str
) -> None:
    asked = checked_call(Dialect.OPENAI, Task.CHAT, {"model": NATIVE, "messages": ASK})
    async with (
        open_pool(tiny_at(sims.native.url), False, PoolPolicy(queue=queue)) as pool,
        over(ingress, pool) as running,
        running.client(key) as client,
    ):
        body = {"model": NATIVE, "messages": ASK, "stream": stream}
        async with await pool.open(asked, Caller("somebody-else", "interactive")):  # it has the only slot
            refused = await client.post(path, json=body)
        assert refused.status_code == status
        assert int(refused.headers["retry-after"]) >= 1
        assert words in told(path, refused.content)
        assert (await client.post(path, json=body)).status_code == 200


async def test_the_official_clients_know_both_refusals(ingress: Ingress, key: str, sims: Sims) -> None:
    asked = checked_call(Dialect.OPENAI, Task.CHAT, {"model": NATIVE, "messages": ASK})
    async with (
        open_pool(tiny_at(sims.native.url), False, PoolPolicy(queue=QueuePolicy(bound=0))) as pool,
        over(ingress, pool) as running,
        await pool.open(asked, Caller("somebody-else", "interactive")),
        openai.AsyncOpenAI(base_url=f"{running.base_url}/v1", api_key=key, max_retries=0) as client,
    ):
        with pytest.raises(openai.RateLimitError) as limited:
            await client.chat.completions.create(model=NATIVE, messages=ASK)
        native = ollama.AsyncClient(running.base_url, headers={"Authorization": f"Bearer {key}"})
        with pytest.raises(ollama.ResponseError) as refused:
            await native.chat(NATIVE, ASK)
    assert limited.value.code == "queue_full"
    assert limited.value.response.headers["retry-after"]
    assert refused.value.status_code == 429


async def test_what_an_ollama_cannot_do_goes_to_a_server_that_can(ingress: Ingress, key: str, sims: Sims) -> None:
    calls: list[dict[str, Any]] = [
        {"n": 1, "tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"logit_bias": {"50256": -100}},
    ]
    async with openai.AsyncOpenAI(base_url=f"{ingress.base_url}/v1", api_key=key, max_retries=0) as client:
        for more in (*calls, *calls):  # servers take turns
            await client.chat.completions.create(model="mixed", messages=ASK, **more)
        assert (await sims.compatible.idle())["requests"] == 6
        for more in calls:
            with pytest.raises(openai.BadRequestError, match="not possible with this model's server") as refused:
                await client.chat.completions.create(model=NATIVE, messages=ASK, **more)
            assert refused.value.code == "unsupported"
        with pytest.raises(openai.BadRequestError, match="echo"):
            await client.completions.create(model=NATIVE, prompt="x", echo=True)
    assert (await sims.native.idle())["requests"] == 0


class Broken:
    """A pool with a fault that nobody foresaw, before the answer or in its middle."""

    def __init__(self, pool: Pool, *, late: bool) -> None:
        self.catalogue = pool.catalogue
        self._pool, self._late = pool, late

    async def open(self, call: Any, *who: Any) -> Any:
        if not self._late:
            raise RuntimeError(str(call.body))
        answer = await self._pool.open(call, *who)
        batches = answer.batches

        async def breaking() -> AsyncIterator[Any]:
            async for batch in batches():
                yield batch
                raise RuntimeError(str(call.body))

        answer.batches = breaking  # type: ignore[method-assign]
        return answer

    async def show(self, *_: Any) -> Any:
        raise RuntimeError


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/api/chat", "/api/generate", "/api/show"]
)
async def test_an_error_that_nobody_foresaw_is_told_in_the_callers_protocol(
    ingress: Ingress, key: str, path: str
) -> None:
    broken = Broken(ingress.dependencies.chat.pool, late=False)
    async with over(ingress, broken) as running, running.client(key) as client:
        body = {"model": NATIVE, "messages": ASK, "prompt": "x", "input": "x"}
        answer = await client.post(path, json=body, headers={"X-Request-Id": "mine"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/json")
    assert "request mine failed" in told(path, answer.content)
    assert "안녕" not in answer.text


@PATHS
async def test_a_stream_that_breaks_unforeseen_ends_with_an_error_event(
    ingress: Ingress, key: str, sims: Sims, path: str
) -> None:
    await sims.native.set(token_ms=5)
    broken = Broken(ingress.dependencies.chat.pool, late=True)
    async with over(ingress, broken) as running, running.client(key) as client:
        async with client.stream("POST", path, json={"model": NATIVE, "messages": ASK, "stream": True}) as answer:
            lines = [line async for line in answer.aiter_lines() if line]
        await sims.native.idle()
    assert "the call failed" in told(path, lines[-1].removeprefix("data: ").encode())
    assert not any("[DONE]" in line or '"done":true' in line for line in lines)
    assert ingress.dependencies.chat.pool.in_use("native") == 0


async def test_an_ollama_that_refuses_our_name_for_it_is_passed_over(ingress: Ingress, key: str, sims: Sims) -> None:
    """On loopback it gives an empty 403 to a Host that is a name: no answer, and no fault of the call."""
    await sims.native.set(refuse_host=True)
    async with ingress.client(key) as client:
        for path in ("/v1/chat/completions", "/api/chat") * 3:  # servers take turns
            answer = await client.post(path, json={"model": "mixed", "messages": ASK, "stream": False})
            assert answer.status_code == 200, answer.text
        for path in ("/v1/chat/completions", "/api/chat"):
            refused = await client.post(path, json={"model": NATIVE, "messages": ASK})
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            assert NATIVE in told(path, refused.content)
    assert (await sims.compatible.idle())["requests"] == 6
