"""Callers of the audio routes who leave, come back, send too much or cancel; nobody transcribes here."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import httpx
import openai
import pytest
import pytest_asyncio

from ingress.app import create_app
from ingress.audio import routes
from schemas.events import JobControl, JobResult, JobStatus, StageRequest
from schemas.ids import event_id
from schemas.job_view import JobView
from schemas.payloads import json_payload
from schemas.topics import JOB_CONTROL, RESULTS, STT
from streams.metrics import HTTP_REQUESTS
from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, records, running_ingress, settings_for
from tests.integration.worker_harness import leave_behind
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

PATH = "/v1/audio/transcriptions"
FORM = {"model": "whisper-1"}
SOUND = b"RIFF\x24\x00\x00\x00WAVEfmt "
TOPIC = STT.requests["interactive"].name
TRANSCRIPT = b'{"task":"transcribe","language":"ko","duration":1.5,"text":"\xec\x95\x88\xeb\x85\x95","segments":[]}'


@pytest_asyncio.fixture(scope="module")
async def ingress(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingress]:
    url = own_database(redis_url, 11)
    settings = settings_for(kafka, url, tmp_path_factory.mktemp("audio"))
    async with ViewFolder(kafka, url), running_ingress(settings) as running:
        yield running
    # No worker of another test is to look for these recordings.
    await leave_behind(kafka, "processor.stt", list(STT.requests.values()))


@pytest_asyncio.fixture
async def key(ingress: Ingress) -> str:
    """Of a service of the test's own, so that its only job is the one that is asked about."""
    return await ingress.key(f"team-{uuid4().hex[:8]}")


def _sound(content: bytes = b"one") -> dict[str, tuple[str, bytes]]:
    return {"file": ("meeting.wav", SOUND + content)}


async def _only_job(client: httpx.AsyncClient) -> str:
    """Wait for the service's job; return its path."""

    async def found() -> list[dict[str, str]]:
        return (await client.get("/v1/jobs")).json()["jobs"]

    [job] = await eventually(found)
    return f"/v1/jobs/{job['job_id']}"


async def _cancelled(client: httpx.AsyncClient, job: str) -> bool:
    return (await client.get(job)).json()["status"] == "cancelled"


async def test_the_job_of_a_caller_who_leaves_is_cancelled(
    ingress: Ingress, client: httpx.AsyncClient, key: str, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed while the job waits; whoever works on it is told."""
    monkeypatch.setattr(routes, "_LOOK_S", 0.1)
    abandoned = HTTP_REQUESTS.labels(PATH, "POST", "499")
    before = abandoned._value.get()
    async with ingress.client(key) as caller:
        asking = asyncio.create_task(caller.post(PATH, data=FORM, files=_sound()))
        job = await _only_job(client)
        asking.cancel()
        await asyncio.wait({asking})
    await eventually(lambda: _cancelled(client, job))
    await eventually(lambda: abandoned._value.get() == before + 1)
    [control] = [r async for r in records(kafka, JOB_CONTROL.name, job.rpartition("/")[2], JobControl)]
    assert isinstance(control, JobControl)
    assert control.action == "cancel"


async def _ask_and_leave(ingress: Ingress, key: str, headers: dict[str, str]) -> tuple[int, str]:
    """Send a recording and be gone when the answer comes; return the answer's status and its job's id."""
    settings = replace(ingress.dependencies.settings, audio_wait_seconds=1)
    app = create_app(replace(ingress.dependencies, settings=settings))
    async with ingress.client(key) as client:
        request = client.build_request("POST", PATH, data=FORM, files=_sound(), headers=headers)
    came = [{"type": "http.request", "body": request.read(), "more_body": False}]
    sent: list[dict] = []

    async def receive() -> dict:
        return came.pop() if came else {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    await app(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]).get(b"x-job-id", b"").decode()


async def test_an_idempotency_key_keeps_the_job_for_the_caller_who_comes_back(
    ingress: Ingress, client: httpx.AsyncClient, key: str, kafka: str
) -> None:
    """Asked again, it is the same job, worked on once; under the same key another recording is refused."""
    assert (await _ask_and_leave(ingress, await ingress.key(f"team-{uuid4().hex[:8]}"), {}))[0] == 499
    keyed = {"Idempotency-Key": "meeting-1"}
    status, job_id = await _ask_and_leave(ingress, key, keyed)
    assert status == 504
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "queued"

    again = asyncio.create_task(client.post(PATH, data=FORM, files=_sound(), headers=keyed))
    await _finish(ingress, job_id)
    answer = await again
    assert (answer.status_code, answer.json()["text"], answer.headers["x-job-id"]) == (200, "안녕", job_id)
    assert len([r async for r in records(kafka, TOPIC, job_id, StageRequest)]) == 1

    refused = await client.post(PATH, data=FORM, files=_sound(b"another"), headers=keyed)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 1


async def _finish(ingress: Ingress, job_id: str) -> None:
    """Write what the stage writes at a job's end."""
    found = await ingress.dependencies.jobs.get(job_id)
    assert isinstance(found, JobView)
    result = JobResult(
        event_id=event_id(job_id, 0, "result"),
        job=found.job,
        status=JobStatus.DONE,
        steps=found.steps,
        result=json_payload(TRANSCRIPT),
        finished_at_ms=int(time.time() * 1000),
    )
    await ingress.dependencies.publisher.publish(RESULTS, job_id, result)


async def test_a_job_that_is_cancelled_elsewhere_is_told_once(
    ingress: Ingress, client: httpx.AsyncClient, key: str
) -> None:
    """OpenAI's client repeats a 409 by itself, which would be the cancelled job over again."""
    async with openai.AsyncOpenAI(base_url=f"{ingress.base_url}/v1", api_key=key, max_retries=2) as caller:
        asking = asyncio.create_task(caller.audio.transcriptions.create(model="whisper-1", file=_sound()["file"]))
        job = await _only_job(client)
        assert (await client.delete(job)).status_code == 200
        with pytest.raises(openai.ConflictError) as raised:
            async with asyncio.timeout(20):  # another job would never end here
                await asking
    assert raised.value.code == "job_cancelled"
    assert job.endswith(raised.value.response.headers["x-job-id"])
    assert raised.value.request.headers["x-stainless-retry-count"] == "0"
    assert await _only_job(client) == job


@pytest.mark.parametrize("told_before", [True, False])
async def test_a_recording_that_is_too_large(client: httpx.AsyncClient, told_before: bool) -> None:
    """Refused by its announced length, and while it comes where none is announced; no job is made."""
    request = client.build_request("POST", PATH, data=FORM, files=_sound(bytes(2 * 1024 * 1024)))
    body = request.read()

    async def unannounced() -> AsyncIterator[bytes]:
        yield body

    content = body if told_before else unannounced()
    answer = await client.post(PATH, content=content, headers={"content-type": request.headers["content-type"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "upload_too_large")
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert (await client.get("/v1/jobs")).json()["jobs"] == []
