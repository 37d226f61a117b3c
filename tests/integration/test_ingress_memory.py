"""A large upload through a real ingress process: it must not sit in memory."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from schemas.events import StageRequest
from schemas.topics import OCR
from tests.integration.ingress_harness import ROOT, own_database, records, running_ingress, settings_for, until_ready
from tests.integration.worker_harness import leave_behind
from tests.services import free_port

pytestmark = pytest.mark.kafka

MIB = 1024 * 1024
UPLOAD_BYTES = 200 * MIB
ALLOWED_GROWTH_BYTES = 48 * MIB
PDF = b"%PDF-1.7"
FORM = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="scan.pdf"\r\n\r\n'
OCR_REQUESTS = OCR.requests["interactive"].name


@asynccontextmanager
async def _ingress(
    kafka: str, redis_url: str, folder: Path
) -> AsyncGenerator[tuple[httpx.AsyncClient, psutil.Process]]:
    """A process of its own, warm from a small upload, and a client with a key."""
    url = own_database(redis_url, 8)
    async with running_ingress(settings_for(kafka, url, folder)) as other:
        key = await other.key("team-large")
    settings = settings_for(kafka, url, folder)
    env = {
        **os.environ,
        "GATEWAY_DATA_DIR": str(folder),
        "GATEWAY_KAFKA_BOOTSTRAP": kafka,
        "GATEWAY_REDIS_URL": url,
        "GATEWAY_MODULES_DIR": str(ROOT / "modules"),
        "GATEWAY_HTTP_PORT": str(settings.http_port),
        "GATEWAY_METRICS_PORT": str(free_port()),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "ingress", cwd=ROOT, env=env)
    try:
        base, headers = f"http://127.0.0.1:{settings.http_port}", {"X-API-Key": key}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60, trust_env=False) as client:
            await until_ready(client)
            small = {"file": ("letter.pdf", b"%PDF-1.7" + bytes(4 * MIB))}
            assert (await client.post("/v1/blobs", files=small)).status_code == 201
            yield client, psutil.Process(process.pid)
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_200_mb_do_not_sit_in_memory(kafka: str, redis_url: str, tmp_path: Path) -> None:
    """Resident memory, watched during an upload and a job's form, grows by a few parts of the file only."""
    async with _ingress(kafka, redis_url, tmp_path) as (client, process):
        before = peak = process.memory_info().rss

        async def content(head: bytes, tail: bytes) -> AsyncIterator[bytes]:
            nonlocal peak
            chunk = os.urandom(MIB)
            yield head + PDF
            for _ in range(UPLOAD_BYTES // MIB):
                yield chunk
                peak = max(peak, process.memory_info().rss)
            yield tail

        for path, media_type, head, tail in (
            ("/v1/blobs", "application/pdf", b"", b""),
            ("/v1/ocr", "multipart/form-data; boundary=edge", FORM, b"\r\n--edge--\r\n"),
        ):
            answer = await client.post(path, content=content(head, tail), headers={"content-type": media_type})
            peak = max(peak, process.memory_info().rss)
            print(f"resident memory grew by {(peak - before) / MIB:.1f} MiB during 200 MiB to {path}")
            assert peak - before < ALLOWED_GROWTH_BYTES
            if path == "/v1/blobs":
                assert (answer.status_code, answer.json()["size"]) == (201, UPLOAD_BYTES + len(PDF))
                continue
            job = answer.json()
            assert (answer.status_code, job["module"]) == (202, "ocr")
            [asked] = [r async for r in records(kafka, OCR_REQUESTS, job["job_id"], StageRequest)]
            assert isinstance(asked, StageRequest)
            assert [(each.name, each.size) for each in asked.inputs] == [("scan.pdf", UPLOAD_BYTES + len(PDF))]
    # No worker of another test is to fetch and open that.
    await leave_behind(kafka, "processor.ocr", list(OCR.requests.values()))
