"""Two replicas of ingress before the same model servers: one limit, whichever of them is asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.integration.chat_harness import own_service
from tests.integration.ingress_harness import Ingress, own_database, running_ingress, settings_for
from tests.sim.launch import Simulator, simulator
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

LIMIT = 4
_MODELS = """\
upstreams:
  shared: {{kind: ollama, url: "{url}", limit: {limit}}}
models:
  tiny: {{upstreams: [{{upstream: shared, model: "tiny:latest"}}]}}
"""


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest_asyncio.fixture
async def replicas(kafka: str, redis_url: str, tmp_path: Path, sim: Simulator) -> AsyncIterator[list[Ingress]]:
    await sim.reset()
    file = tmp_path / "models.yml"
    file.write_text(_MODELS.format(url=sim.url, limit=LIMIT))
    async with AsyncExitStack() as stack:
        running: list[Ingress] = []
        for name in ("one", "two"):
            database = own_database(redis_url, 10)
            settings = settings_for(kafka, database, tmp_path / name, GATEWAY_MODELS_FILE=str(file))
            running.append(await stack.enter_async_context(running_ingress(settings)))
        yield running


async def _asked(client: httpx.AsyncClient, number: int) -> str:
    body = {"model": "tiny", "max_tokens": 4, "messages": [{"role": "user", "content": str(number)}]}
    path, stream = ("/v1/chat/completions", True) if number % 2 else ("/api/chat", False)
    answer = await client.post(path, json={**body, "stream": stream})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_limit_holds_over_both_and_both_serve(
    replicas: list[Ingress], sim: Simulator, wait_until: WaitUntil
) -> None:
    await sim.set(ttft_ms=40, token_ms=5)
    key = await replicas[0].key(own_service(), ("chat",))
    await wait_until(lambda: replicas[1].dependencies.keys.get(key.split("_")[1]))
    async with replicas[0].client(key) as one, replicas[1].client(key) as two:
        answers = await asyncio.gather(*(_asked(client, n) for n in range(20) for client in (one, two)))
    assert all(answers)
    counts = await sim.idle()
    assert (counts["requests"], counts["ends"]) == (40, {"done": 40})
    assert counts["most_open"] == LIMIT


async def test_one_alone_has_the_whole_limit_and_shares_it_when_the_other_asks(
    replicas: list[Ingress], sim: Simulator, wait_until: WaitUntil
) -> None:
    """Whoever has nothing to do leaves the slots to the other, and has its own again when it asks."""
    key = await replicas[0].key(own_service(), ("chat",))
    await wait_until(lambda: replicas[1].dependencies.keys.get(key.split("_")[1]))
    await sim.set(ttft_ms=40)
    async with replicas[0].client(key) as one, replicas[1].client(key) as two:
        await asyncio.gather(*(_asked(one, n) for n in range(24)))
        alone = await sim.idle()
        late = asyncio.gather(*(_asked(one, n) for n in range(24)))
        assert await _asked(two, 1)
        await late
    counts = await sim.idle()
    assert counts["requests"] == alone["requests"] + 25
    assert counts["most_open"] == alone["most_open"] == LIMIT
