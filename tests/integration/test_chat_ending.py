"""An ingress process that ends while calls run: what they used is on the ledger."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from schemas.topics import API_KEYS
from streams.api_keys import make_key
from streams.log.kafka_publisher import KafkaPublisher
from tests.integration.chat_harness import OnTheLog, own_service
from tests.integration.ingress_harness import ROOT, own_database, until_ready
from tests.services import free_port
from tests.sim.launch import Simulator

pytestmark = pytest.mark.kafka
_TOKENS = 20
_MODELS = """\
upstreams: {{stalls: {{kind: ollama, url: "{url}", limit: 4}}}}
models: {{tiny: {{upstreams: [{{upstream: stalls, model: "tiny:latest"}}]}}}}
"""


@asynccontextmanager
async def _ingress(
    kafka: str, redis_url: str, folder: Path, sim: Simulator, service: str
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """A process that waits a second for open calls when it ends, and a client with a key for chat."""
    record, key = make_key(service, ("chat",), None, time.time_ns() // 1_000_000)
    async with KafkaPublisher(kafka) as publisher:
        await publisher.publish(API_KEYS, record.key_id, record)
    models = folder / "models.yml"
    models.write_text(_MODELS.format(url=sim.url))
    port = free_port()
    env = {
        **os.environ,
        "GATEWAY_DATA_DIR": str(folder),
        "GATEWAY_KAFKA_BOOTSTRAP": kafka,
        "GATEWAY_REDIS_URL": own_database(redis_url, 9),
        "GATEWAY_MODULES_DIR": str(ROOT / "modules"),
        "GATEWAY_MODELS_FILE": str(models),
        "GATEWAY_HTTP_PORT": str(port),
        "GATEWAY_METRICS_PORT": "0",
        "GATEWAY_DRAIN_SECONDS": "1",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "ingress", cwd=ROOT, env=env)
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False
        ) as client:
            await until_ready(client)
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_stream_that_outlasts_the_patience_of_a_process_that_ends_is_metered(
    kafka: str, redis_url: str, tmp_path: Path, sim: Simulator, on_the_log: OnTheLog
) -> None:
    """Its server does not hear that it is left, so that it is waited for until the last."""
    service = own_service()
    await sim.set(fault="hang_mid", fault_after=_TOKENS)
    body = {"model": "tiny", "messages": [{"role": "user", "content": "x"}], "options": {"num_predict": 400}}
    async with (
        _ingress(kafka, redis_url, tmp_path, sim, service) as (process, client),
        client.stream("POST", "/api/chat", json=body) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        for _ in range(_TOKENS):
            assert await anext(lines)
        sim.process.send_signal(signal.SIGSTOP)
        try:
            process.terminate()
            async with asyncio.timeout(30):
                assert await process.wait() == 0
        finally:
            sim.process.send_signal(signal.SIGCONT)
        (used,) = await on_the_log.usage_of(service)
    assert (used.outcome, used.upstream, used.waste, used.final) == ("partial", "stalls", False, True)
    assert used.usage.completion_tokens == _TOKENS
    assert used.usage.prompt_tokens > 0
