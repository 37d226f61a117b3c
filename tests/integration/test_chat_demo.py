"""The parts of `gateway demo --chat`: the simulator as a process of the stack, the answer, the call's ledger line."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from cli.chat_demo import ask, first_model, ledger_event, ledger_line
from cli.chat_simulator import has_model_servers, has_simulator, port_of, start_simulator, with_simulator
from cli.gateway_client import GatewayClient
from cli.stack.launch import Stack, end_leftovers
from schemas.errors import GatewayError
from streams.settings import Settings
from tests.integration.chat_harness import COMPATIBLE, NATIVE, chat_ingress, own_service, simulators
from tests.integration.ingress_harness import own_database


@pytest.mark.kafka
async def test_an_answer_comes_in_pieces_and_its_call_is_found_on_the_ledger(
    kafka: str, redis_url: str, tmp_path: Path
) -> None:
    with simulators() as sims:
        async with chat_ingress(kafka, own_database(redis_url, 9), tmp_path, sims) as ingress:
            service = own_service()
            key = await ingress.key(service, ("chat",))
            pieces: list[str] = []

            def demo(model: str) -> str:
                with GatewayClient(ingress.base_url, key) as client:
                    assert first_model(client, COMPATIBLE, 5) == COMPATIBLE
                    assert first_model(client, "", 5) == NATIVE
                    since_ms = time.time_ns() // 1_000_000
                    said = ask(client, model, "x", pieces.append)
                    event = ledger_event(kafka, client.key_id, said, since_ms)
                assert (said.text, event.model, event.service) == ("".join(pieces), model, service)
                assert event.usage.completion_tokens == len(pieces) == 32
                return ledger_line(event)

            for model in (NATIVE, COMPATIBLE):
                pieces.clear()
                assert "done" in await asyncio.to_thread(demo, model)
            with pytest.raises(GatewayError, match="'nope' not found"), GatewayClient(ingress.base_url, key) as client:
                await asyncio.to_thread(ask, client, "nope", "x", pieces.append)


async def test_the_simulator_belongs_to_the_stack(
    tmp_path: Path, wait_until: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEWAY_OLLAMA_URLS", raising=False)
    env = {"GATEWAY_DATA_DIR": str(tmp_path), "GATEWAY_MODELS_FILE": str(tmp_path / "none.yml")}
    stack = Stack(env, Settings.from_env(env))
    assert not has_model_servers(stack.settings)
    port = port_of(stack)
    configured = with_simulator(stack, port)
    assert has_model_servers(configured.settings)
    start_simulator(configured, port)
    try:

        async def answers() -> bool:
            try:
                async with httpx.AsyncClient(trust_env=False) as http:
                    url = configured.settings.ollama_urls[0]
                    return (await http.get(f"{url}/api/tags")).json()["models"][0]["name"] == "simulated:latest"
            except httpx.TransportError:
                return False

        await wait_until(answers, 20)
        assert has_simulator(stack)
    finally:
        ended = end_leftovers(tmp_path)
    assert len(ended) == 1
    assert not has_simulator(stack)
