"""A large upload through a real ingress process: it must not sit in memory."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.ingress_harness import ROOT, own_database, running_ingress, settings_for
from tests.services import free_port

pytestmark = pytest.mark.kafka

MIB = 1024 * 1024
UPLOAD_BYTES = 200 * MIB
ALLOWED_GROWTH_BYTES = 48 * MIB


async def test_a_200_mb_upload_does_not_sit_in_memory(kafka: str, redis_url: str, tmp_path: Path, wait_until):
    """The process's resident memory, watched during the upload, grows by a few parts of the file only."""
    url = own_database(redis_url, 8)
    async with running_ingress(settings_for(kafka, url, tmp_path)) as other:
        key = await other.key("team-large")
    settings = settings_for(kafka, url, tmp_path)
    env = {
        **os.environ,
        "GATEWAY_DATA_DIR": str(tmp_path),
        "GATEWAY_KAFKA_BOOTSTRAP": kafka,
        "GATEWAY_REDIS_URL": url,
        "GATEWAY_MODULES_DIR": str(ROOT / "modules"),
        "GATEWAY_HTTP_PORT": str(settings.http_port),
        "GATEWAY_METRICS_PORT": str(free_port()),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "ingress", cwd=ROOT, env=env)
    try:
        base = f"http://127.0.0.1:{settings.http_port}"
        headers = {"X-API-Key": key, "Content-Type": "application/pdf"}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60, trust_env=False) as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await wait_until(ready, 60)
            assert (await client.post("/v1/blobs", content=b"%PDF-1.7" + bytes(4 * MIB))).status_code == 201
            resident = psutil.Process(process.pid).memory_info
            before = peak = resident().rss

            async def content() -> AsyncIterator[bytes]:
                nonlocal peak
                chunk = os.urandom(MIB)
                yield b"%PDF-1.7"
                for _ in range(UPLOAD_BYTES // MIB):
                    yield chunk
                    peak = max(peak, resident().rss)

            answer = await client.post("/v1/blobs", content=content())
            peak = max(peak, resident().rss)
        assert answer.status_code == 201
        assert answer.json()["size"] == UPLOAD_BYTES + 8
        print(f"resident memory grew by {(peak - before) / MIB:.1f} MiB during a 200 MiB upload")
        assert peak - before < ALLOWED_GROWTH_BYTES
    finally:
        process.terminate()
        assert await process.wait() == 0
