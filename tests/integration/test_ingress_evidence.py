"""The evidence page and highlighted page images over HTTP, on real Kafka and Redis."""

import base64
import io
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio
from PIL import Image

from schemas.events import JobEvent, JobEventKind, JobResult
from schemas.ids import event_id
from schemas.payloads import BlobRef, json_payload
from schemas.topics import JOB_EVENTS, RESULTS
from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, running_ingress, settings_for

pytestmark = pytest.mark.kafka

SERVICE = f"team-{uuid4().hex[:8]}"
PDF = b"%PDF-1.7\nnot parsed here"
RESULT: dict[str, Any] = {
    "schema_version": "1.0",
    "title": "조사 <안내>",
    "evidence": {
        "/title": [{"page": 1, "bbox": [0.5, 0.5, 1, 1], "text": "조사 <안내>", "confidence": 0.9, "source": "ocr"}]
    },
}


@pytest_asyncio.fixture(scope="module")
async def ingress(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingress]:
    database = own_database(redis_url, 10)
    async with (
        ViewFolder(kafka, database),
        running_ingress(settings_for(kafka, database, tmp_path_factory.mktemp("ingress"))) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module")
async def key(ingress: Ingress) -> str:
    return await ingress.key(SERVICE)


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("L", (200, 300), "white").save(out, "PNG")
    return out.getvalue()


async def _letter(client: httpx.AsyncClient, ingress: Ingress, result: object, picture: bytes) -> str:
    """Submit a letter, and write what the processors write: the pages' pictures and the result."""
    job_id = (await client.post("/v1/gongmun", files={"file": ("a.pdf", PDF)})).json()["job_id"]
    blobs, publisher = ingress.dependencies.blobs, ingress.dependencies.publisher
    image = await blobs.put_bytes(SERVICE, "image/png", picture)
    manifest = {"pages": [{"number": 1, "blob": image, "width": 200, "height": 300}]}
    ref: BlobRef = await blobs.put_bytes(SERVICE, "application/json", orjson.dumps(manifest))
    found = await ingress.dependencies.notifications.wait_for_change(job_id, None, 10)
    done = JobEvent(
        event_id(job_id, 0, "done"),
        found.job,
        JobEventKind.STAGE_DONE,
        found.steps,
        9,
        "ocr",
        1,
        artifacts={"pages": ref},
    )
    await publisher.publish(JOB_EVENTS, job_id, done)
    end = JobResult(
        event_id=event_id(job_id, 0, "result"),
        job=found.job,
        status="done",
        steps=found.steps,
        result=json_payload(orjson.dumps(result)),
        finished_at_ms=int(time.time() * 1000),
    )
    await publisher.publish(RESULTS, job_id, end)
    assert (await client.get(f"/v1/jobs/{job_id}", params={"wait": 30})).json()["status"] == "done"
    return job_id


@pytest_asyncio.fixture
async def letter(client: httpx.AsyncClient, ingress: Ingress) -> str:
    return await _letter(client, ingress, RESULT, _png())


async def test_the_page_has_its_values_and_its_pictures(client: httpx.AsyncClient, letter: str):
    """In one file, under a policy that lets it load nothing."""
    answer = await client.get(f"/v1/jobs/{letter}/evidence.html")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "조사 &lt;안내&gt;" in answer.text
    assert "data:image/jpeg;base64," in answer.text


async def test_a_browser_may_send_the_key_as_a_password(ingress: Ingress, key: str, letter: str):
    """Asked for by the 401; for looking only."""
    async with ingress.client(None) as anyone:
        path = f"/v1/jobs/{letter}/evidence.html"
        asked = await anyone.get(path)
        assert asked.status_code == 401
        assert asked.headers["www-authenticate"].startswith("Basic ")
        assert (await anyone.get(path, auth=("", key))).status_code == 200
        assert (await anyone.get(f"/v1/jobs/{letter}/pages/1.png", auth=("me", key))).status_code == 200
        assert (await anyone.get(path, auth=("me", key + "x"))).status_code == 401
        for broken in ("Basic", "Basic %%", "Basic " + base64.b64encode(b"\xff").decode()):
            assert (await anyone.get(path, headers={"Authorization": broken})).status_code == 401
        for method, other in (("GET", f"/v1/jobs/{letter}"), ("DELETE", f"/v1/jobs/{letter}"), ("POST", "/v1/noop")):
            assert (await anyone.request(method, other, auth=("me", key))).status_code == 401


async def test_a_value_is_highlighted_on_its_page(client: httpx.AsyncClient, letter: str):
    """On the whole picture, where it was read."""
    plain = await client.get(f"/v1/jobs/{letter}/pages/1.png")
    answer = await client.get(f"/v1/jobs/{letter}/pages/1.png", params={"highlight": "/title"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    before, after = (Image.open(io.BytesIO(a.content)).convert("RGB") for a in (plain, answer))
    assert before.size == after.size
    assert before.getpixel((20, 20)) == after.getpixel((20, 20))
    assert before.getpixel((150, 220)) != after.getpixel((150, 220))


@pytest.mark.parametrize("pointer", ["/nothing", "/", "title"])
async def test_a_value_that_has_no_place_is_told(client: httpx.AsyncClient, letter: str, pointer: str):
    """404 with what to ask for."""
    answer = await client.get(f"/v1/jobs/{letter}/pages/1.png", params={"highlight": pointer})
    assert (answer.status_code, answer.json()["code"]) == (404, "highlight_not_found")


async def test_a_job_without_evidence_is_told(client: httpx.AsyncClient, ingress: Ingress):
    """Not done yet, or of a module that gives none."""
    waiting = (await client.post("/v1/gongmun", files={"file": ("a.pdf", PDF)})).json()["job_id"]
    other = await _letter(client, ingress, {"pages": []}, _png())
    for job_id in (waiting, other):
        answer = await client.get(f"/v1/jobs/{job_id}/evidence.html")
        assert (answer.status_code, answer.json()["code"]) == (404, "evidence_not_found"), answer.text
        assert answer.json()["remedy"]


async def test_a_picture_that_cannot_be_shown_leaves_the_values(client: httpx.AsyncClient, ingress: Ingress):
    """The page comes without it."""
    job_id = await _letter(client, ingress, RESULT, b"\x89PNG\r\n\x1a\nnot parsed here")
    answer = await client.get(f"/v1/jobs/{job_id}/evidence.html")
    assert answer.status_code == 200
    assert "picture left out" in answer.text
    marked = await client.get(f"/v1/jobs/{job_id}/pages/1.png", params={"highlight": "/title"})
    assert (marked.status_code, marked.json()["code"]) == (404, "page_not_found")


async def test_another_services_evidence_is_a_404(ingress: Ingress, letter: str):
    """With the same words as for a job that never was."""
    async with ingress.client(await ingress.key("team-b")) as other:
        answer = await other.get(f"/v1/jobs/{letter}/evidence.html")
        never = await other.get(f"/v1/jobs/{'0' * 26}/evidence.html")
        assert answer.status_code == never.status_code == 404
        assert answer.json() == never.json()
